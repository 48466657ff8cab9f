// A real OpenID provider on loopback that gives an app's own tokens, by secret and by certificate, where Entra's are:
// at /{tenant}/v2.0. It reads its configuration as one JSON line, says the port that it listens on, and ends with its input.
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Provider } from 'oidc-provider';

const lines = createInterface({ input: process.stdin });
const [line] = await once(lines, 'line');
const { tenant, certificate, key, secret, jwk, scope } = JSON.parse(line);
const mount = `/${tenant}/v2.0`;

const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();

const app = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope };
const provider = new Provider(`https://localhost:${port}${mount}`, {
  clients: [
    { ...app, client_id: 'app-with-secret', client_secret: secret, token_endpoint_auth_method: 'client_secret_post' },
    { ...app, client_id: 'app-with-certificate', token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] } },
  ],
  scopes: [scope],
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false }, resourceIndicators: { enabled: false } },
  ttl: { ClientCredentials: 3600 },
});
const answer = provider.callback();
server.on('request', (request, response) => {
  request.originalUrl = request.url;
  request.url = request.url.slice(mount.length) || '/';
  answer(request, response);
});
console.log(JSON.stringify({ port }));
lines.on('close', () => process.exit(0));
