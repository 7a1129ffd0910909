// An OpenID Connect provider that nobody here wrote, for the tests of token authorizers:
//
//   node provider.mjs ISSUER ALGORITHM
//
// It prints the port it listens on. A line "rotate" gives it new keys, the last old one
// shown beside them; it answers with the new key's id.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { exportJWK, generateKeyPair } from 'jose'
import Provider from 'oidc-provider'

const [issuer, alg] = process.argv.slice(2)
// The provider prints notices of its own.
const say = (what) => console.log('> ' + what)
let keys = [], made = 0, handle

async function rotate() {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  const key = { ...(await exportJWK(privateKey)), kid: `k${++made}`, use: 'sig', alg }
  keys = [key, ...keys.slice(0, 1)]
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: 'app1', client_secret: 'secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
      id_token_signed_response_alg: alg,
    }],
    scopes: ['read', 'write'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'read write', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg } },
        }),
      },
    },
  })
  provider.proxy = true
  handle = provider.callback()
  return key.kid
}

await rotate()
const server = createServer((req, res) => handle(req, res))
server.listen(0, '127.0.0.1', () => say(server.address().port))
createInterface({ input: process.stdin }).on('line', async () => say(await rotate())).on('close', () => process.exit())
