// Shows /openapi.json. The token, where one is needed, is kept in this variable and nowhere else.
let token = "";

function authorised(request) {
  if (token && new URL(request.url, location.href).origin === location.origin) {
    request.headers = { ...request.headers, Authorization: `Bearer ${token}` };
  }
  return request;
}

function show(document_) {
  SwaggerUIBundle({
    dom_id: "#viewer",
    spec: document_,
    deepLinking: true,
    displayRequestDuration: true,
    requestInterceptor: authorised,
    // Without this the document would be sent to a server of somebody else to be validated.
    validatorUrl: null,
  });
}

async function load() {
  const access = document.getElementById("access");
  const said = document.getElementById("said");
  const answer = await fetch("/openapi.json", { headers: token ? { Authorization: `Bearer ${token}` } : {} });
  if (answer.ok) {
    access.hidden = true;
    show(await answer.json());
    return;
  }
  access.hidden = answer.status !== 401;
  const problem = await answer.json().catch(() => ({}));
  const why = problem.detail || problem.error || `${answer.status}`;
  said.textContent = token ? why : "";
  if (access.hidden) {
    document.getElementById("viewer").textContent = `The server does not show its interface: ${why}`;
  }
}

document.getElementById("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = document.getElementById("token").value.trim();
  load();
});

load();
