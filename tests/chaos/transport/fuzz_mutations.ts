import { Buffer } from "node:buffer";
import { FRAME_HEADER_BYTES } from "../../support/http2_client_frames.ts";
import type { Random } from "./random.ts";

/** Breaks a byte stream that was valid: the chunks are its frames, or lines. */
export type Mutation = (chunks: Buffer[], random: Random) => Buffer[];

/** Ways to break any byte stream, by name. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  "none": (chunks) => chunks,
  "flipped bits": (chunks, random) => {
    const bytes = Buffer.concat(chunks);
    for (let flips = 1 + random.below(8); flips > 0; flips--) {
      const at = random.below(bytes.length);
      bytes[at] = bytes[at]! ^ (1 << random.below(8));
    }
    return [bytes];
  },
  "truncation": (chunks, random) => {
    const bytes = Buffer.concat(chunks);
    return [bytes.subarray(0, random.below(bytes.length))];
  },
  "a chunk twice": (chunks, random) => {
    const at = random.below(chunks.length);
    return chunks.toSpliced(at, 0, chunks[at]!);
  },
  "swapped chunks": (chunks, random) => {
    const [from, to] = [random.below(chunks.length), random.below(chunks.length)];
    return chunks.with(from, chunks[to]!).with(to, chunks[from]!);
  },
  "a missing chunk": (chunks, random) => chunks.toSpliced(random.below(chunks.length), 1),
  "random bytes in the middle": (chunks, random) =>
    chunks.toSpliced(random.below(chunks.length + 1), 0, random.bytes(1 + random.below(64))),
};

/** Ways to break HTTP/2 frames, by name. */
export const FRAME_MUTATIONS: Readonly<Record<string, Mutation>> = {
  ...MUTATIONS,
  "a wrong frame length": frameByte((frame, random) =>
    frame.writeUIntBE(random.below(2 ** 24), 0, 3)
  ),
  "a wrong frame type": frameByte((frame, random) => frame.writeUInt8(random.below(256), 3)),
  "wrong frame flags": frameByte((frame, random) => frame.writeUInt8(random.below(256), 4)),
  "a wrong stream": frameByte((frame, random) => frame.writeUInt32BE(random.below(16), 5)),
};

function frameByte(change: (frame: Buffer, random: Random) => void): Mutation {
  return (chunks, random) => {
    const frames = chunks.filter((chunk) => chunk.length >= FRAME_HEADER_BYTES);
    const old = random.pick(frames);
    const frame = Buffer.from(old);
    change(frame, random);
    return chunks.with(chunks.indexOf(old), frame);
  };
}
