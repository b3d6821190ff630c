/** Loaded by rules and interceptors between the prelude and their own code. @module */
import { forbidChance } from "./clock.js";

forbidChance();
