// A TCP relay of ours before a server: slow where the network is to be slow, and the one address that leads to
// whichever server is primary.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** How long what arrives now is held back, in ms. */
export type Delay = () => number;

export class Relay implements AsyncDisposable {
  readonly port: number;
  readonly url: string;
  #to: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #delay: Delay = () => 0;
  #heldMs = 0;

  private constructor(server: Server, port: number, to: number) {
    this.#server = server;
    this.port = port;
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    this.#to = to;
    server.on("connection", (socket) => this.#relay(socket));
  }

  /** Relays to that port of this machine. */
  static async to(port: number): Promise<Relay> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return new Relay(server, address.port, port);
  }

  /** Holds back what arrives from now on, in each direction, in its order. */
  slow(delay: Delay): void {
    this.#delay = delay;
    this.#heldMs = 0;
  }

  /** For how long it held back, at most, what it has passed on since the last {@link slow}. */
  get heldMs(): number {
    return this.#heldMs;
  }

  /** From now on new connections go there; those that are open are broken off. */
  leadTo(port: number): void {
    this.#to = port;
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #relay(near: Socket): void {
    const far = connect(this.#to, "127.0.0.1");
    this.#carry(near, far);
    this.#carry(far, near);
  }

  /** What arrives at one comes out of the other, each piece no earlier than the one before it. */
  #carry(from: Socket, to: Socket): void {
    this.#sockets.add(from.setNoDelay(true));
    let before = Promise.resolve();
    const later = (act: () => void): void => {
      const delayMs = this.#delay();
      const atMs = performance.now() + delayMs;
      before = before.then(async () => {
        const waitMs = atMs - performance.now();
        if (waitMs > 0) await sleep(waitMs);
        act();
        this.#heldMs = Math.max(this.#heldMs, delayMs);
      });
    };
    from.on("data", (piece) => later(() => to.write(piece)));
    from.on("end", () => later(() => to.end()));
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      later(() => to.destroy());
    });
  }
}
