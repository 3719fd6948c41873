// One WebSocket for the whole page: conditions of cameras as words, their video as bytes; comes back by itself.
import { signal } from "@preact/signals";
import { account, whoAmI } from "../api";

export type State = "waiting" | "live" | "closed" | "lost" | "ended";

export interface Condition {
  camera: string;
  state: State;
  since_us: number;
  /** In English, and its code, empty where there is none. */
  why: string;
  reason: string;
  detector: string;
}

/** What a camera's video is given to. */
export interface Sink {
  /** What follows is of this kind; `head` begins it. */
  start(codec: string, head: Uint8Array): void;
  fragment(data: Uint8Array, mediaUs: number, capturedUs: number): void;
  /** The connection is gone: what comes next begins anew. */
  cut(): void;
}

/** "on" while the server is reached; otherwise how long until the next try is nobody's concern. */
export const reached = signal<"on" | "off" | "never">("never");

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const HEAD_BYTES = 24;
const START = 1;
const REPORT_BYTES = 64 << 10;
const PING_EVERY_MS = 5_000;
const LOGIN = 4401;
const FORBIDDEN = 4403;

interface Feed {
  camera: string;
  codec: string;
}

class Connection {
  readonly conditions = signal<ReadonlyMap<string, Condition>>(new Map());
  private socket: WebSocket | null = null;
  private readonly sinks = new Map<string, Sink>();
  private readonly feeds = new Map<number, Feed>();
  private followed: readonly string[] = [];
  private watched: readonly string[] = [];
  private pause = FIRST_PAUSE_MS;
  private retry = 0;
  private pings = 0;
  private came = 0;
  private reported = 0;
  private offsetMs: number | null = null;
  private bestTripMs = Infinity;

  /** Is told how these cameras are. Without any, the connection is closed. */
  follow(cameras: readonly string[]): void {
    this.followed = cameras;
    if (cameras.length === 0) this.close();
    else if (this.socket === null && this.retry === 0) this.open();
    else this.say({ follow: cameras });
  }

  /** Gives the video of these to their sinks, and of no others. */
  watch(sinks: ReadonlyMap<string, Sink>): void {
    const cameras = [...sinks.keys()].sort();
    this.sinks.clear();
    for (const [camera, sink] of sinks) this.sinks.set(camera, sink);
    if (cameras.join("\n") === this.watched.join("\n")) return;
    this.watched = cameras;
    this.say({ watch: cameras });
  }

  /** Milliseconds since 1970 on the server's clock, as exactly as the quickest answer allows; null until one came. */
  serverNow(): number | null {
    return this.offsetMs === null ? null : performance.now() + this.offsetMs;
  }

  private open(): void {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/live`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.came = this.reported = 0;
      reached.value = "on";
      this.say({ follow: this.followed, watch: this.watched });
      this.ping();
      this.pings = window.setInterval(() => this.ping(), PING_EVERY_MS);
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      this.pause = FIRST_PAUSE_MS;
      if (typeof event.data === "string") this.heed(JSON.parse(event.data) as Record<string, unknown>);
      else this.take(event.data);
    };
    socket.onclose = (event) => this.closed(event.code);
  }

  private close(): void {
    clearTimeout(this.retry);
    this.retry = 0;
    this.conditions.value = new Map();
    const socket = this.socket;
    if (socket === null) return;
    this.forget();
    socket.onclose = socket.onmessage = null;
    // One that is not open yet is let finish: browsers take an earlier end for a fault.
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket.close();
  }

  private forget(): void {
    clearInterval(this.pings);
    this.socket = null;
    this.feeds.clear();
  }

  private closed(code: number): void {
    this.forget();
    reached.value = "off";
    for (const sink of this.sinks.values()) sink.cut();
    // Before a connection stands, a browser does not say why it was refused: the session may have ended.
    if (code === LOGIN || code === FORBIDDEN || code === 1006) void whoAmI().catch(() => undefined);
    const wait = this.pause * (0.5 + Math.random() / 2);
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE_MS);
    this.retry = window.setTimeout(() => {
      this.retry = 0;
      if (this.followed.length > 0 && account.value) this.open();
    }, wait);
  }

  private say(words: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(words));
  }

  private ping(): void {
    this.say({ ping: performance.now() });
  }

  private heed(words: Record<string, unknown>): void {
    if (typeof words["state"] === "string") {
      const condition = words as unknown as Condition;
      this.conditions.value = new Map(this.conditions.value).set(condition.camera, condition);
    } else if (typeof words["pong"] === "number") {
      const tripMs = performance.now() - words["pong"];
      if (tripMs > this.bestTripMs) return;
      this.bestTripMs = tripMs;
      this.offsetMs = (words["now_us"] as number) / 1000 + tripMs / 2 - performance.now();
    } else if (typeof words["camera"] === "string") {
      this.feeds.set(words["feed"] as number, { camera: words["camera"], codec: "" });
    } else if (typeof words["codec"] === "string") {
      const feed = this.feeds.get(words["feed"] as number);
      if (feed) feed.codec = words["codec"];
    }
  }

  /** A message holds parts of several feeds, one after the other, each behind its head. */
  private take(message: ArrayBuffer): void {
    const view = new DataView(message);
    for (let at = 0; at < message.byteLength; ) {
      const length = view.getUint32(at);
      const feed = this.feeds.get(view.getUint16(at + 6));
      const sink = feed && this.sinks.get(feed.camera);
      const data = new Uint8Array(message, at + HEAD_BYTES, length);
      if (sink && view.getUint8(at + 4) === START) sink.start(feed.codec, data);
      else sink?.fragment(data, Number(view.getBigInt64(at + 8)), Number(view.getBigInt64(at + 16)));
      at += HEAD_BYTES + length;
    }
    this.came += message.byteLength;
    if (this.came - this.reported >= REPORT_BYTES) {
      this.reported = this.came;
      this.say({ came: this.came });
    }
  }
}

export const connection = new Connection();
