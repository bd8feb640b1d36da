export interface ServerSentEvent {
  readonly id: string;
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A stream of server-sent events as a browser reads it (HTML, section 9.2). */
export class EventStream {
  private readonly aborter = new AbortController();
  private readonly events: AsyncGenerator<ServerSentEvent>;

  private constructor(
    readonly response: Response,
    aborter: AbortController,
  ) {
    this.aborter = aborter;
    this.events = read(response);
  }

  static async open(url: string, headers: Readonly<Record<string, string>>): Promise<EventStream> {
    const aborter = new AbortController();
    return new EventStream(await fetch(url, { headers, signal: aborter.signal }), aborter);
  }

  async next(): Promise<ServerSentEvent> {
    const { value, done } = await this.events.next();
    if (done) throw new Error('the stream has ended');
    return value;
  }

  /** Up to and with the first event of this name. */
  async until(event: string): Promise<ServerSentEvent[]> {
    const all: ServerSentEvent[] = [];
    for (;;) {
      const one = await this.next();
      all.push(one);
      if (one.event === event) return all;
    }
  }

  close(): void {
    this.aborter.abort();
  }
}

async function* read({ body }: Response): AsyncGenerator<ServerSentEvent> {
  if (!body) return;
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line): [string, string] => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
          }),
      );
      text = text.slice(end + 2);
      const data = fields.get('data');
      if (data === undefined) continue;
      yield {
        id: fields.get('id') ?? '',
        event: fields.get('event') ?? 'message',
        data: JSON.parse(data) as ServerSentEvent['data'],
      };
    }
  }
}
