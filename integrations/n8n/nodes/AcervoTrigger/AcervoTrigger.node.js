"use strict";
const { isOurs } = require("./verify");

const EVENTS = [
  ["File Ready", "media.ready"], ["File Transcribed", "media.transcribed"], ["Tags Changed", "media.tagged"],
  ["File in the CRM", "media.delivered"], ["File Needs Somebody", "media.failed"], ["File Kept", "media.stored"],
  ["File Erased", "media.erased"], ["Consent Changed", "consent.changed"],
].map(([name, value]) => ({ name, value }));

const ask = async (context, method, path, body) => {
  const { baseUrl } = await context.getCredentials("acervoApi");
  return context.helpers.httpRequestWithAuthentication.call(context, "acervoApi", {
    method, url: `${baseUrl.trim().replace(/\/+$/, "")}/api/v1${path}`, body, json: true,
  });
};
const isGone = (error) => [404, "404"].includes(error.httpCode ?? error.response?.status ?? error.statusCode);

class AcervoTrigger {
  description = {
    displayName: "Acervo Trigger",
    name: "acervoTrigger",
    icon: "file:acervo.svg",
    group: ["trigger"],
    version: 1,
    subtitle: '={{$parameter["events"].join(", ")}}',
    description: "Starts the workflow when something happens to the files customers send on WhatsApp",
    defaults: { name: "Acervo Trigger" },
    inputs: [],
    outputs: ["main"],
    credentials: [{ name: "acervoApi", required: true }],
    webhooks: [{ name: "default", httpMethod: "POST", responseMode: "onReceived", path: "webhook" }],
    properties: [
      { displayName: "Events", name: "events", type: "multiOptions", options: EVENTS, default: ["media.ready"], required: true },
      { displayName: "Detail", name: "detail", type: "options", default: "facts",
        description: "How much is told", options: [
          { name: "Facts Only", value: "facts" },
          { name: "With Contact and Content", value: "full" },
        ] },
    ],
  };

  webhookMethods = {
    default: {
      async checkExists() {
        const kept = this.getWorkflowStaticData("node");
        if (!kept.id || kept.url !== this.getNodeWebhookUrl("default")) return false;
        try {
          const known = await ask(this, "GET", `/subscriptions/${kept.id}`);
          return known.state !== "ended";
        } catch (error) {
          if (isGone(error)) return false;
          throw error;
        }
      },
      async create() {
        const url = this.getNodeWebhookUrl("default");
        const made = await ask(this, "POST", "/subscriptions", {
          target_url: url, events: this.getNodeParameter("events"), detail: this.getNodeParameter("detail"), name: "n8n",
        });
        Object.assign(this.getWorkflowStaticData("node"), { id: made.id, secret: made.secret, url });
        return true;
      },
      async delete() {
        const kept = this.getWorkflowStaticData("node");
        if (kept.id) {
          try {
            await ask(this, "DELETE", `/subscriptions/${kept.id}`);
          } catch (error) {
            if (!isGone(error)) return false;
          }
        }
        for (const name of ["id", "secret", "url"]) delete kept[name];
        return true;
      },
    },
  };

  async webhook() {
    const request = this.getRequestObject();
    if (request.rawBody === undefined && request.readRawBody) await request.readRawBody();
    const { secret } = this.getWorkflowStaticData("node");
    if (!secret || !isOurs(secret, this.getHeaderData(), request.rawBody)) {
      this.getResponseObject().status(401).end("The signature does not fit.");
      return { noWebhookResponse: true };
    }
    return { workflowData: [this.helpers.returnJsonArray([this.getBodyData()])] };
  }
}

module.exports = { AcervoTrigger };
