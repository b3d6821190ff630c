/** Loaded by a component before the Soul's code: time and chance, and where log lines go. @module */
import * as clock from "./clock.js";
import { port } from "./host.js";

const host = port("logging");

/** Writes a line to the Soul's log. */
export function line(level: "trace" | "debug" | "info" | "warn" | "error" | "critical", ...said: unknown[]): void {
  host.log(level, "console", said.map(shown).join(" "));
}

function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}\n${value.stack ?? ""}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

clock.install();
const at = (level: Parameters<typeof line>[0]) => (...said: unknown[]) => line(level, ...said);
Object.assign(globalThis, {
  console: { trace: at("trace"), debug: at("debug"), log: at("info"), info: at("info"), warn: at("warn"), error: at("error") },
});
