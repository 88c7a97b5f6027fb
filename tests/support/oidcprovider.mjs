// A provider of OpenID Connect for tests: npm's oidc-provider with a page of its own on which one says who one is.
// node oidcprovider.mjs '{"port": ..., "clients": [...], "people": {LOGIN: {claims}}, "key": {JWK}, "ahead": seconds}'
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const given = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${given.port}`;
const now = Date.now;
Date.now = () => now() + 1000 * (given.ahead ?? 0);

const provider = new Provider(issuer, {
  clients: given.clients,
  jwks: { keys: [given.key] },
  cookies: { keys: ['of no use elsewhere'] },
  pkce: { required: () => true },
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username', 'groups'],
    email: ['email', 'email_verified'],
  },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...given.people[id], sub: id }) }),
  // whoever signs in allows what is asked for
  loadExistingGrant: async (context) => {
    const { session, client } = context.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(context.oidc.params.scope);
    await grant.save();
    return grant;
  },
});

const page = `<!DOCTYPE html><html lang="en"><title>The provider</title><link rel="icon" href="data:,"><h1>The provider</h1>
<form method="post"><label>Who are you? <input name="login"></label><button>Continue</button></form>
<form method="post"><button name="refuse" value="yes">Refuse</button></form></html>`;

async function body(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return new URLSearchParams(text);
}

async function interact(request, response) {
  if (request.method !== 'POST') {
    response.setHeader('Content-Type', 'text/html; charset=UTF-8');
    response.end(page);
    return;
  }
  const form = await body(request);
  const refused = { error: 'access_denied', error_description: 'said no' };
  const result = form.get('refuse') ? refused : { login: { accountId: form.get('login') } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const serve = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) {
    serve(request, response);
    return;
  }
  interact(request, response).catch((error) => {
    response.statusCode = 500;
    response.end(String(error));
  });
}).listen(given.port, '127.0.0.1', () => console.log('ready'));
