/** Of `console` there is what writes to the Soul's log. @module */
declare global {
  interface Console {
    trace(...said: unknown[]): void;
    debug(...said: unknown[]): void;
    log(...said: unknown[]): void;
    info(...said: unknown[]): void;
    warn(...said: unknown[]): void;
    error(...said: unknown[]): void;
  }
  var console: Console;
}

export {};
