// Plays one camera as closely behind the live edge as the network lets it, through Media Source Extensions.
import { signal } from "@preact/signals";
import { connection, type Sink } from "./connection";

const LOOK_EVERY_MS = 250;
/** Seconds behind the newest picture: where it hurries, and where it jumps. */
const HURRY_S = 0.3;
const JUMP_S = 1.5;
const HURRY = 1.1;
/** What is behind the picture that is shown is let go. */
const KEEP_S = 4;
const KEEP_MOST_S = 12;
/** Fragments that wait for the browser's buffer; with more than these it has stopped taking any. */
const WAITING_MOST = 500;

const Source: typeof MediaSource | undefined =
  (globalThis as { ManagedMediaSource?: typeof MediaSource }).ManagedMediaSource ?? globalThis.MediaSource;

/** Whether this browser can show live video at all. */
export const canPlay = Source !== undefined && Source.isTypeSupported('video/mp4; codecs="avc1.64001F"');

export class Player implements Sink {
  /** Seconds between the camera's picture and its being shown here; null while nothing is shown. */
  readonly delay = signal<number | null>(null);
  /** Whether a picture is shown. */
  readonly playing = signal(false);
  private video: HTMLVideoElement | null = null;
  private source: MediaSource | null = null;
  private buffer: SourceBuffer | null = null;
  private waiting: Uint8Array[] = [];
  private head: { type: string; data: Uint8Array } | null = null;
  private newest: { mediaUs: number; capturedUs: number } | null = null;
  private timer = 0;

  /** Shows the video in this element from now on, or in none. */
  attach(video: HTMLVideoElement | null): void {
    this.detach();
    this.video = video;
    if (video === null) return;
    video.muted = true;
    video.disableRemotePlayback = true;
    this.timer = window.setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  start(codec: string, head: Uint8Array): void {
    const type = `video/mp4; codecs="${codec}"`;
    this.head = { type, data: head.slice() };
    this.waiting = [];
    if (this.buffer && this.source?.readyState === "open" && !this.video?.error) {
      if (!this.buffer.updating) this.buffer.changeType(type);
      else return this.begin();
      this.append(head.slice());
    } else this.begin();
  }

  fragment(data: Uint8Array, mediaUs: number, capturedUs: number): void {
    if (this.video?.error) this.begin();
    this.newest = { mediaUs, capturedUs };
    // A copy: the message it lies in holds other cameras' pictures too.
    this.waiting.push(data.slice());
    if (this.waiting.length > WAITING_MOST) this.begin();
    this.flush();
  }

  cut(): void {
    this.waiting = [];
    this.playing.value = false;
    this.delay.value = null;
  }

  private detach(): void {
    clearInterval(this.timer);
    this.cut();
    this.end();
    this.head = null;
    this.video = null;
  }

  private end(): void {
    this.buffer = null;
    this.source = null;
    if (this.video?.src) {
      URL.revokeObjectURL(this.video.src);
      this.video.removeAttribute("src");
      this.video.load();
    }
  }

  /** A source of its own for what comes, from its head on. */
  private begin(): void {
    const { video, head } = this;
    this.end();
    if (!video || !head || !Source) return;
    const source = new Source();
    this.source = source;
    this.waiting = [head.data];
    source.addEventListener(
      "sourceopen",
      () => {
        if (this.source !== source) return;
        source.duration = Infinity;
        const buffer = source.addSourceBuffer(head.type);
        this.buffer = buffer;
        buffer.addEventListener("updateend", () => this.updated(buffer));
        this.flush();
      },
      { once: true },
    );
    video.src = URL.createObjectURL(source);
    video.play().catch(() => undefined); // it is tried again while data comes
  }

  private updated(buffer: SourceBuffer): void {
    if (this.buffer !== buffer) return;
    this.chase();
    this.flush();
  }

  private flush(): void {
    if (!this.buffer || this.buffer.updating || this.waiting.length === 0) return;
    const parts = this.waiting;
    this.waiting = [];
    this.append(parts.length === 1 && parts[0] ? parts[0] : joined(parts));
  }

  private append(data: Uint8Array): void {
    try {
      this.buffer?.appendBuffer(data as Uint8Array<ArrayBuffer>);
    } catch (error) {
      // Full, or broken by what came: the next keyframe finds a new one.
      if (error instanceof DOMException) this.begin();
      else throw error;
    }
  }

  /** Keeps the picture that is shown near the newest one. */
  private chase(): void {
    const { video } = this;
    const ranges = this.buffer?.buffered;
    if (!video || !ranges || ranges.length === 0) return;
    const from = ranges.start(ranges.length - 1);
    const edge = ranges.end(ranges.length - 1);
    const behind = edge - video.currentTime;
    if (video.currentTime < from || behind > JUMP_S || behind < -JUMP_S) {
      video.currentTime = Math.max(from, edge - HURRY_S / 2);
    }
    video.playbackRate = behind > HURRY_S ? HURRY : 1;
    if (video.paused) video.play().catch(() => undefined);
  }

  private look(): void {
    const { video, buffer, newest } = this;
    if (!video || !buffer || !newest) return;
    this.chase();
    if (!buffer.updating && buffer.buffered.length > 0 && video.currentTime - buffer.buffered.start(0) > KEEP_MOST_S) {
      buffer.remove(0, video.currentTime - KEEP_S);
    }
    this.playing.value = video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && !video.paused;
    const now = connection.serverNow();
    if (!this.playing.value || now === null) {
      this.delay.value = null;
      return;
    }
    const shownUs = newest.capturedUs - (newest.mediaUs - video.currentTime * 1e6);
    this.delay.value = Math.max(0, now / 1000 - shownUs / 1e6);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}
