// Drives the server through the generated client; ends with 1 and the reason when an answer is not what the types say.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const baseUrl = process.env.AIHUB_URL;
const key = process.env.AIHUB_KEY;
assert(baseUrl && key);
const hub = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${key}` } });
const nobody = createClient<paths>({ baseUrl });

// An error comes in the envelope, or as RFC 9457 when that is asked for; the types know both.
function codeOf(error: { error: { code: string } } | { code: string } | undefined): string | undefined {
  return error && ("error" in error ? error.error.code : error.code);
}

const sent = await hub.POST("/v1/events", {
  body: {
    specversion: "1.0",
    source: "urn:typescript",
    type: "usage.recorded.v1",
    data: { service: "chat", model: "gpt-4o", input_tokens: 374, output_tokens: 44 },
  },
  headers: { "content-type": "application/cloudevents+json" },
});
assert.equal(sent.response.status, 202);
assert.equal(sent.data?.data.accepted, 1);
const receipt = sent.data.data.results[0]?.receipt;
assert(receipt && receipt.offset >= 0);

const made = await hub.POST("/v1/webhooks/endpoints", {
  params: { header: { "Idempotency-Key": "typescript-1" } },
  body: { url: "https://example.com/hook", event_types: ["credits.*"], description: "made by TypeScript" },
});
assert(made.data);
assert.match(made.data.data.secret, /^whsec_/);
const endpoint_id = made.data.data.id;

const read = await hub.GET("/v1/webhooks/endpoints/{endpoint_id}", { params: { path: { endpoint_id } } });
assert.equal(read.data?.data.description, "made by TypeScript");
const etag = read.response.headers.get("etag");
assert(etag);

const changed = await hub.PATCH("/v1/webhooks/endpoints/{endpoint_id}", {
  params: { path: { endpoint_id }, header: { "If-Match": etag } },
  body: { description: "changed" },
});
assert.equal(changed.data?.data.description, "changed");
const stale = await hub.PATCH("/v1/webhooks/endpoints/{endpoint_id}", {
  params: { path: { endpoint_id }, header: { "If-Match": etag } },
  body: { description: "lost" },
});
assert.equal(stale.response.status, 412);
assert.equal(codeOf(stale.error), "precondition_failed");

const listed = await hub.GET("/v1/webhooks/endpoints", { params: { query: { page: 1, per_page: 5 } } });
assert.equal(listed.data?.pagination.total, 1);
assert.equal(listed.data.data[0]?.id, endpoint_id);

const gone = await hub.DELETE("/v1/webhooks/endpoints/{endpoint_id}", { params: { path: { endpoint_id } } });
assert.equal(gone.response.status, 204);

const balance = await hub.GET("/v1/credits/balance");
assert.equal(typeof balance.data?.data.available_micros, "number");

const refused = await nobody.GET("/v1/credits/balance");
assert.equal(refused.response.status, 401);
assert.equal(codeOf(refused.error), "unauthenticated");

console.log("typescript client: all answers as typed");
