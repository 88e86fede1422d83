// In Zendesk the page learns from the app framework beside which ticket or user it stands, and follows when that changes.

const HEIGHT_PX = 480;
const client = window.ZAFClient?.init();
const panel = document.querySelector("embed-panel");

async function told(path) {
  try {
    return (await client.get(path))[path];
  } catch {
    return undefined; // not in this place of Zendesk
  }
}

async function look() {
  const [ticket, requester, user] = [await told("ticket.id"), await told("ticket.requester.id"), await told("user.id")];
  const customer = requester || user;
  panel.show([ticket && `ticket:${ticket}`, customer && `contact:${customer}`].filter(Boolean));
}

async function dress() {
  const scheme = await told("colorScheme");
  if (scheme === "dark" || scheme === "light") document.documentElement.dataset.theme = scheme;
}

if (client) {
  client.invoke("resize", { width: "100%", height: `${HEIGHT_PX}px` });
  for (const change of ["ticket.requester.id.changed", "user.id.changed"]) client.on(change, look);
  client.on("colorScheme.changed", dress);
  await customElements.whenDefined("embed-panel");
  await Promise.all([dress(), look()]);
}
