"use strict";
const { base } = require("../authentication");

module.exports = {
  key: "find_file",
  noun: "File",
  display: { label: "Find File", description: "Finds the newest file by words in its caption, its name, its transcript or its contact's name." },
  operation: {
    inputFields: [
      { key: "q", label: "Words", required: true },
      { key: "kind", label: "Kind", choices: ["voice", "audio", "video", "image", "sticker", "document"] },
    ],
    perform: async (z, bundle) => {
      const { q, kind } = bundle.inputData;
      const params = { q, limit: 1, ...(kind ? { kind } : {}) };
      return (await z.request({ url: `${base(bundle)}/media`, params })).data.items;
    },
    sample: { id: "01ARZ3NDEKTSV4RRFFQ69G5FAV", url: "https://acervo.example.com/m/01ARZ3NDEKTSV4RRFFQ69G5FAV", kind: "voice", state: "ready" },
  },
};
