import { type Handler, textResponse } from "./handler.ts";

const EXPLANATIONS: Readonly<Record<number, string>> = {
  405: "405 Method Not Allowed: RPCs take POST, and GET where they have no side effects",
  415: "415 Unsupported Media Type: use application/json, application/proto, " +
    "application/connect+json, application/connect+proto, application/grpc or application/grpc-web",
  505: "505 HTTP Version Not Supported: this RPC needs HTTP/2",
};

/**
 * Gives words to the refusals that Connect sends without a body, and the Allow header that RFC 9110,
 * section 15.5.6, asks for.
 */
export function explained(handler: Handler, allowedMethods: readonly string[]): Handler {
  return async (request) => {
    const answer = await handler(request);
    const explanation = EXPLANATIONS[answer.status];
    if (explanation === undefined || answer.body !== undefined) return answer;
    return textResponse(request, answer.status, explanation, {
      ...Object.fromEntries(answer.header ?? []),
      ...(answer.status === 405 && { allow: allowedMethods.join(", ") }),
    });
  };
}
