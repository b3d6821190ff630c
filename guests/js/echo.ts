/** Replies with what it received. Has no state, no settings, and needs no grant. @module */
import { Soul, type Content, type Message } from "matrix-soul";

export default class Echo extends Soul {
  receive(message: Message): Content {
    return message.content;
  }
}
