"use strict";
// What the link is for stands behind '#', which a browser sends to nobody.
const [purpose, secret] = location.hash.slice(1).split("=");
const byId = (id) => document.getElementById(id);
const show = (id, visible = true) => { byId(id).hidden = !visible; };
let accessToken = null;
let joining = false;

const purposes = {
  first_admin: { title: "Make the first account", text: "It owns this installation.", register: true },
  invitation: { title: "Make your account", text: "You are invited.", register: true },
  reset_password: { title: "Choose a new password", text: "It ends every sign-in of the account." },
  verify_email: { title: "Confirm your e-mail address", text: "One moment …" },
};

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  if (accessToken) headers.authorization = `Bearer ${accessToken}`;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

async function attempt(work) {
  byId("error").textContent = "";
  try {
    await work();
    history.replaceState(null, "", location.pathname);
  } catch (error) {
    byId("error").textContent = error.message;
  }
}

async function join(password) {
  const code = byId("code").value.trim();
  const login = { email: byId("email").value, password, ...(code && { code }) };
  accessToken = (await post("/api/auth/login", login)).access_token;
  const { organization_id } = await post("/api/invitations/accept", { invitation: secret });
  accessToken = (await post("/api/auth/refresh", { organization_id })).access_token;
  byId("text").textContent = "You have joined, and you are signed in there.";
  show("done");
}

function offerJoining() {
  joining = true;
  byId("title").textContent = "Join with your account";
  for (const id of ["name-label", "join"]) show(id, false);
  show("code-label");
  byId("password").autocomplete = "current-password";
  byId("password").removeAttribute("minlength");
}

async function submit() {
  const password = byId("password").value;
  if (joining) {
    await join(password);
  } else if (purposes[purpose].register) {
    const body = { email: byId("email").value, name: byId("name").value, password, invitation: secret };
    accessToken = (await post("/api/auth/register", body)).access_token;
    byId("text").textContent = "Your account is made, and you are signed in.";
    show("done");
  } else {
    await post("/api/auth/password-reset/confirm", { token: secret, password });
    byId("text").textContent = "Your password is changed. Sign in with it.";
  }
  show("form", false);
}

byId("form").addEventListener("submit", (event) => { event.preventDefault(); attempt(submit); });
byId("join").addEventListener("click", offerJoining);
byId("make-key").addEventListener("click", () => attempt(async () => {
  const made = await post("/api/keys", { name: "first key" });
  byId("key").textContent = made.key;
  show("key");
  byId("text").textContent = "This key is shown once. Use it with any OpenAI client.";
}));

if (purposes[purpose] && secret) {
  byId("title").textContent = purposes[purpose].title;
  byId("text").textContent = purposes[purpose].text;
  if (purpose === "verify_email") {
    attempt(async () => {
      await post("/api/auth/verify-email", { token: secret });
      byId("text").textContent = "Your e-mail address is confirmed.";
    });
  } else {
    show("form");
    for (const id of ["email-label", "name-label"]) show(id, Boolean(purposes[purpose].register));
    show("join", purpose === "invitation");
    byId("email").required = Boolean(purposes[purpose].register);
  }
}
