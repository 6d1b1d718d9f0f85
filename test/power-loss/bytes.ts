/** The content of a file: grows as it is written to, with zeros where nothing was. */
export class Bytes {
  #buffer: Buffer;
  #size: number;

  constructor(content: Uint8Array = new Uint8Array()) {
    this.#buffer = Buffer.from(content);
    this.#size = content.length;
  }

  get content(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }

  write(at: number, data: Uint8Array): void {
    this.#reach(at + data.length);
    this.#buffer.set(data, at);
  }

  truncate(size: number): void {
    this.#buffer.fill(0, size, Math.max(size, this.#size));
    this.#reach(size);
    this.#size = size;
  }

  #reach(size: number): void {
    if (size > this.#buffer.length) {
      const larger = Buffer.alloc(size * 2);
      larger.set(this.content);
      this.#buffer = larger;
    }
    this.#size = Math.max(size, this.#size);
  }
}
