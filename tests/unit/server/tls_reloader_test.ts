import assert from "node:assert/strict";
import { readTlsMaterial, type TlsMaterial } from "../../../src/config/mod.ts";
import { TlsReloader } from "../../../src/server/tls_reloader.ts";
import { captureLogger } from "../../support/server.ts";
import { pem, TlsFolder, WAYS_OF_WRITING } from "../../support/tls_files.ts";

const FIRST = { cert: pem("server"), key: pem("server-key"), ca: pem("ca") };
const NEXT = { ...FIRST, cert: pem("server-next"), key: pem("server-next-key") };
const EXPIRES = { first: "2124-01-01T00:00:00.000Z", next: "2123-01-01T00:00:00.000Z" };

/** A reloader that looks at a folder only when it is told to. */
async function reloaderOf(way: (typeof WAYS_OF_WRITING)[number] = "overwrite") {
  await using setup = new AsyncDisposableStack();
  const folder = setup.use(await TlsFolder.create(way, FIRST));
  const files = {
    cert: folder.file("cert"),
    key: folder.file("key"),
    clientCa: folder.file("ca"),
  };
  const { logger, logs } = captureLogger();
  const applied: TlsMaterial[] = [];
  const reloader = setup.use(
    new TlsReloader({
      material: readTlsMaterial(files, Deno.readTextFileSync),
      files,
      apply: (material) => void applied.push(material),
      logger,
    }),
  );
  const kept = setup.move();
  const look = async (times: number) => {
    for (let time = 0; time < times; time++) await reloader.check();
  };
  return {
    folder,
    reloader,
    applied,
    logs,
    look,
    events: () => logs.map(({ event }) => event),
    expires: () => reloader.certificate.validToDate.toISOString(),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

for (const way of WAYS_OF_WRITING) {
  Deno.test(`TLS files: a new pair is taken at the second look (${way})`, async () => {
    await using test = await reloaderOf(way);
    await test.look(3);
    assert.deepEqual(test.events(), []);

    await test.folder.write(NEXT);
    await test.look(1);
    assert.equal(test.expires(), EXPIRES.first);
    await test.look(3);
    assert.equal(test.expires(), EXPIRES.next);
    const [material] = test.applied;
    assert.deepEqual([material!.cert, material!.key.reveal()], [NEXT.cert, NEXT.key]);
    const [{ event, level, subject, serial, expires_at }, ...others] = test.logs as [
      Record<string, unknown>,
    ];
    assert.deepEqual({ event, level, subject, expires_at }, {
      event: "tls.reloaded",
      level: "info",
      subject: "CN=localhost",
      expires_at: EXPIRES.next,
    });
    assert.match(String(serial), /^[0-9A-F]{20,}$/);
    assert.deepEqual(others, []);
    assert.equal(test.applied.length, 1);

    await test.folder.write(FIRST);
    await test.look(2);
    assert.equal(test.expires(), EXPIRES.first);
  });
}

Deno.test("TLS files: the authorities of clients are read again too", async () => {
  await using test = await reloaderOf();
  await test.folder.write({ ...FIRST, ca: pem("other-ca") });
  await test.look(2);
  assert.equal(test.applied[0]?.clientCa, pem("other-ca"));
  assert.deepEqual(test.events(), ["tls.reloaded"]);
});

Deno.test("TLS files: a pair that is half written for a moment is no news", async () => {
  await using test = await reloaderOf();
  await test.folder.write({ cert: NEXT.cert });
  await test.look(1);
  await test.folder.write({ key: NEXT.key });
  await test.look(1);
  assert.deepEqual(test.events(), []);
  await test.look(1);
  assert.deepEqual(test.events(), ["tls.reloaded"]);
  assert.equal(test.expires(), EXPIRES.next);
});

const KEY = "TLS_KEY_FILE: the key does not match the certificate of TLS_CERT_FILE";
for (
  const [title, texts, problems] of [
    ["the key of another certificate", { cert: NEXT.cert }, [KEY]],
    ["no PEM", { cert: "none" }, ["TLS_CERT_FILE: the file contains no PEM certificate"]],
    ["a part of a certificate", { cert: NEXT.cert.slice(0, 300) }, [
      "TLS_CERT_FILE: the file contains no PEM certificate",
    ]],
    ["a part of a key", { key: FIRST.key.slice(0, 100) }, [
      "TLS_KEY_FILE: the file contains no unencrypted PEM private key",
    ]],
    ["empty files", { cert: "", key: "" }, [
      "TLS_CERT_FILE: the file contains no PEM certificate",
      "TLS_KEY_FILE: the file contains no unencrypted PEM private key",
    ]],
    ["a key that TLS does not know", { cert: pem("unusable"), key: pem("unusable-key") }, [
      "TLS_KEY_FILE: TLS does not support this type of key",
    ]],
    ["no authority", { ca: "" }, ["TLS_CLIENT_CA_FILE: the file contains no PEM certificate"]],
  ] as const
) {
  Deno.test(`TLS files: ${title} is logged once, and nothing changes`, async () => {
    await using test = await reloaderOf();
    await test.folder.write(texts);
    await test.look(5);
    assert.deepEqual(
      test.logs.map(({ event, level, problems, expires_at }) => {
        return { event, level, problems, expires_at };
      }),
      [{ event: "tls.reload_failed", level: "error", problems, expires_at: EXPIRES.first }],
    );
    assert.deepEqual(test.applied, []);
    assert.doesNotMatch(JSON.stringify(test.logs), /PRIVATE|MIG|BEGIN/);

    await test.folder.write(NEXT);
    await test.look(2);
    assert.deepEqual(test.events(), ["tls.reload_failed", "tls.reloaded"]);
    assert.equal(test.expires(), EXPIRES.next);
  });
}

Deno.test("TLS files: a missing file is logged once, and again when it disappears again", async () => {
  await using test = await reloaderOf();
  for (let round = 1; round <= 2; round++) {
    await Deno.remove(test.folder.file("key"));
    await test.look(4);
    assert.deepEqual(test.events(), Array(round).fill("tls.reload_failed"));
    await test.folder.write(FIRST);
    await test.look(4);
  }
  assert.deepEqual(test.logs[1]?.problems, [
    "TLS_KEY_FILE: cannot read the file: no such file",
  ]);
  assert.deepEqual(test.applied, []);
});

Deno.test("TLS files: what cannot be put to use is logged, and the one from before stays", async () => {
  await using folder = await TlsFolder.create("overwrite", NEXT);
  const files = { cert: folder.file("cert"), key: folder.file("key"), clientCa: undefined };
  const { logger, logs } = captureLogger();
  await using reloader = new TlsReloader({
    material: readTlsMaterial(
      { cert: "cert", key: "key", clientCa: undefined },
      (path) => FIRST[path as "cert" | "key"],
    ),
    files,
    apply: () => {
      throw new Error("not now");
    },
    logger,
  });
  await reloader.check();
  await reloader.check();
  await reloader.check();
  assert.deepEqual(logs.map(({ event }) => event), ["tls.reload_failed"]);
  assert.match(JSON.stringify(logs[0]?.err), /not now/);
  assert.equal(reloader.certificate.validToDate.toISOString(), EXPIRES.first);
});
