import { createRegistry, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequest,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection as ServerReflectionV1Alpha,
  type ServerReflectionRequest as ServerReflectionRequestV1Alpha,
} from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";

/**
 * Adds gRPC server reflection, v1 and v1alpha, for `services` and for itself, so that clients such
 * as grpcurl need no .proto file.
 *
 * Source: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 */
export function addReflection(router: ConnectRouter, services: readonly DescService[]): void {
  const schema = new ReflectedSchema([...services, ServerReflection, ServerReflectionV1Alpha]);

  // The two versions differ in their package names only.
  async function* serverReflectionInfo<
    R extends ServerReflectionRequest | ServerReflectionRequestV1Alpha,
  >(requests: AsyncIterable<R>) {
    for await (const request of requests) {
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: schema.answer(request.messageRequest),
      };
    }
  }
  router.service(ServerReflection, {
    serverReflectionInfo: (requests) => serverReflectionInfo(requests),
  });
  router.service(ServerReflectionV1Alpha, {
    serverReflectionInfo: (requests) => serverReflectionInfo(requests),
  });
}

type Question =
  | ServerReflectionRequest["messageRequest"]
  | ServerReflectionRequestV1Alpha["messageRequest"];

class ReflectedSchema {
  readonly #services: readonly string[];
  readonly #files = new Map<string, DescFile>();
  /** Files by the names of their types and members: methods, fields, enum values. */
  readonly #symbols = new Map<string, DescFile>();
  readonly #registry: ReturnType<typeof createRegistry>;

  constructor(services: readonly DescService[]) {
    this.#services = services.map((service) => service.typeName);
    for (const service of services) this.#addFile(service.file);
    this.#registry = createRegistry(...this.#files.values());
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const symbol of symbolsOf(file)) this.#symbols.set(symbol, file);
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }

  answer(question: Question) {
    switch (question.case) {
      case "listServices":
        return listServices(this.#services);
      case "fileByFilename":
        return fileDescriptors(this.#files.get(question.value), question.value);
      case "fileContainingSymbol":
        return fileDescriptors(this.#symbols.get(question.value), question.value);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = question.value;
        const message = this.#registry.getMessage(containingType);
        const extension = message && this.#registry.getExtensionFor(message, extensionNumber);
        return fileDescriptors(
          extension?.file,
          `extension ${extensionNumber} of ${containingType}`,
        );
      }
      case "allExtensionNumbersOfType":
        return this.#registry.getMessage(question.value)
          ? extensionNumbers(question.value, this.#extensionNumbersOf(question.value))
          : failure(Code.NotFound, `${question.value} is not known here`);
      default:
        return failure(Code.InvalidArgument, "the request names nothing to reflect on");
    }
  }

  #extensionNumbersOf(typeName: string): number[] {
    return [...this.#registry].flatMap((type) =>
      type.kind === "extension" && type.extendee.typeName === typeName ? [type.number] : []
    );
  }
}

function symbolsOf(file: DescFile): string[] {
  return [...nestedTypes(file)].flatMap((type) => {
    switch (type.kind) {
      case "message":
        return [...type.members.map(({ name }) => `${type.typeName}.${name}`), type.typeName];
      case "service":
        return [...type.methods.map(({ name }) => `${type.typeName}.${name}`), type.typeName];
      case "enum": {
        // Values are siblings of their type, as in C++.
        const scope = type.typeName.slice(0, type.typeName.lastIndexOf(".") + 1);
        return [...type.values.map(({ name }) => `${scope}${name}`), type.typeName];
      }
      default:
        return [type.typeName];
    }
  });
}

function listServices(names: readonly string[]) {
  return {
    case: "listServicesResponse" as const,
    value: { service: names.map((name) => ({ name })) },
  };
}

function extensionNumbers(baseTypeName: string, extensionNumber: number[]) {
  return {
    case: "allExtensionNumbersResponse" as const,
    value: { baseTypeName, extensionNumber },
  };
}

/** The requested file first, then its imports. */
function fileDescriptors(file: DescFile | undefined, asked: string) {
  if (file === undefined) return failure(Code.NotFound, `${asked} is not known here`);
  const files = new Set<DescFile>();
  const add = (next: DescFile) => {
    if (files.has(next)) return;
    files.add(next);
    next.dependencies.forEach(add);
  };
  add(file);
  return {
    case: "fileDescriptorResponse" as const,
    value: {
      fileDescriptorProto: [...files].map(({ proto }) =>
        toBinary(FileDescriptorProtoSchema, proto)
      ),
    },
  };
}

function failure(errorCode: Code, errorMessage: string) {
  return { case: "errorResponse" as const, value: { errorCode, errorMessage } };
}
