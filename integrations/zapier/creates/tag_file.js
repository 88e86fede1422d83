"use strict";
const { base } = require("../authentication");

module.exports = {
  key: "tag_file",
  noun: "Tag",
  display: { label: "Tag File", description: "Puts tags on a file; those that are on it already stay." },
  operation: {
    inputFields: [
      { key: "media", label: "File", required: true, helpText: "Its id: `data media id` of a trigger, or of Find File." },
      { key: "names", label: "Tags", list: true, required: true },
    ],
    perform: async (z, bundle) => (await z.request({
      method: "POST", url: `${base(bundle)}/media/${encodeURIComponent(bundle.inputData.media)}/tags`,
      body: { names: bundle.inputData.names },
    })).data,
    sample: { media: "01ARZ3NDEKTSV4RRFFQ69G5FAV", tags: ["defeito"] },
  },
};
