import { connect, type Socket } from 'node:net';

/**
 * A keep-alive HTTP client of one connection that does next to nothing: it shares the machine with what it
 * measures, so what it costs is taken from both arms. Answers must have a Content-Length.
 */
export class Connection {
  private readonly socket: Socket;
  private waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;
  private received: Buffer = Buffer.alloc(0);

  constructor(port: number, host: string) {
    this.socket = connect({ port, host, noDelay: true });
    this.socket.on('data', (chunk) => this.take(chunk));
    this.socket.on('error', (error) => this.fail(error));
    this.socket.on('close', () => this.fail(new Error('the connection was closed')));
  }

  /** One request, written out whole; the next one may be sent when it is answered. */
  send(request: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(request, 'utf8');
    });
  }

  close(): void {
    this.waiting = undefined;
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    this.received = this.received.length === 0 ? chunk : Buffer.concat([this.received, chunk]);
    const end = this.received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.received.toString('latin1', 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.received.length < end + 4 + length) return;
    const answer = new Answer(head, this.received.subarray(end + 4, end + 4 + length));
    this.received = this.received.subarray(end + 4 + length);
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.resolve(answer);
  }

  private fail(error: Error): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.reject(error);
  }
}

export class Answer {
  constructor(
    private readonly head: string,
    private readonly bytes: Buffer,
  ) {}

  get status(): number {
    return Number(this.head.slice(9, 12));
  }

  get text(): string {
    return this.bytes.toString('utf8');
  }

  header(name: string): string | undefined {
    return new RegExp(`\r\n${name}: *([^\r]*)`, 'i').exec(this.head)?.[1];
  }
}

export interface Message {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export function written({ method, path, headers, body = '' }: Message): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\nhost: bench\r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
