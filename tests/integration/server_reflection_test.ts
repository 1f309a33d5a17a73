import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { startServer } from "../support/server.ts";

const GRPC = WIRES.find(({ protocol, useBinaryFormat }) => protocol === "grpc" && useBinaryFormat)!;
const FILE = "treasury/v1/health.proto";

interface Question {
  readonly case:
    | "listServices"
    | "fileByFilename"
    | "fileContainingSymbol"
    | "allExtensionNumbersOfType";
  readonly value: string;
}

/** The versions differ in their package names only. */
type Reflection = typeof ServerReflection;

/** Asks all questions on one stream. */
async function ask(service: Reflection, ...questions: Question[]) {
  await using server = await startServer();
  await using connection = new RpcConnection(server.url, GRPC);
  const answers = [];
  const requests = async function* () {
    for (const messageRequest of questions) yield { host: "treasury", messageRequest };
  };
  const stream = connection.client(service).serverReflectionInfo(requests());
  for await (const answer of stream) answers.push(answer);
  return answers;
}

for (const service of [ServerReflection, ServerReflectionV1Alpha as unknown as Reflection]) {
  const version = service.typeName.split(".").at(-2);

  Deno.test(`reflection ${version}: lists the services, itself included`, async () => {
    const [answer] = await ask(service, { case: "listServices", value: "" });
    assert.equal(answer!.validHost, "treasury");
    assert.equal(answer!.originalRequest?.messageRequest.case, "listServices");
    assert.equal(answer!.messageResponse.case, "listServicesResponse");
    assert.deepEqual(answer!.messageResponse.value.service.map(({ name }) => name), [
      "treasury.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
    ]);
  });

  Deno.test(`reflection ${version}: finds the file of every kind of symbol`, async () => {
    const symbols = [
      "treasury.v1.Health",
      "treasury.v1.Health.GetHealth",
      "treasury.v1.GetHealthResponse",
      "treasury.v1.GetHealthResponse.status",
      "treasury.v1.WatchHealthResponse.Reason",
      "treasury.v1.ServiceStatus",
      "treasury.v1.HEALTHY",
      "treasury.v1.WatchHealthResponse.CHANGE",
    ];
    const questions: Question[] = [
      { case: "fileByFilename", value: FILE },
      ...symbols.map((value) => ({ case: "fileContainingSymbol" as const, value })),
    ];
    // One stream for each, because Deno's HTTP/2 client loses the end of long answers.
    for (const question of questions) {
      const [answer] = await ask(service, question);
      const { messageResponse } = answer!;
      assert.equal(messageResponse.case, "fileDescriptorResponse");
      const files = messageResponse.value.fileDescriptorProto.map((bytes) =>
        fromBinary(FileDescriptorProtoSchema, bytes)
      );
      assert.equal(files[0]!.name, FILE);
      assert.equal(files[0]!.service[0]!.name, "Health");
    }
  });

  Deno.test(`reflection ${version}: an unknown symbol is NOT_FOUND, and the stream continues`, async () => {
    const answers = await ask(
      service,
      { case: "fileContainingSymbol", value: "treasury.v1.Missing" },
      { case: "fileContainingSymbol", value: "treasury.v1.Health.Missing" },
      { case: "fileContainingSymbol", value: "" },
      { case: "fileByFilename", value: "missing.proto" },
      { case: "allExtensionNumbersOfType", value: "treasury.v1.Missing" },
      { case: "listServices", value: "" },
    );
    assert.equal(answers.at(-1)!.messageResponse.case, "listServicesResponse");
    for (const { messageResponse } of answers.slice(0, -1)) {
      assert.equal(messageResponse.case, "errorResponse");
      assert.equal(messageResponse.value.errorCode, Code.NotFound);
      assert.match(messageResponse.value.errorMessage, /is not known here$/);
    }
  });
}
