"use strict";
// Standard Webhooks: whether a message comes from the archive, and is not an old one that somebody kept.
const { createHmac, timingSafeEqual } = require("node:crypto");

const TOLERANCE_S = 300;

function isOurs(secret, headers, body, nowS = Date.now() / 1000) {
  const id = headers["webhook-id"], stamp = headers["webhook-timestamp"], signatures = headers["webhook-signature"];
  if (!id || !/^\d+$/.test(stamp || "") || !signatures || Math.abs(nowS - Number(stamp)) > TOLERANCE_S) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const wanted = createHmac("sha256", key).update(`${id}.${stamp}.`).update(body).digest();
  return signatures.split(" ").some((part) => {
    const [version, value] = part.split(",");
    const given = Buffer.from(value || "", "base64");
    return version === "v1" && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

module.exports = { isOurs };
