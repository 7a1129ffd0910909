package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/argon2"

	"tollgate/model"
)

// Parameters of argon2id for new hashes; each hash carries its own.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonSalt   = 16
	argonKey    = 32
)

const (
	minPassword = 8
	maxPassword = 1024
)

// hashPassword waits for a slot: hashing takes memory and time on purpose, so
// unbounded sign-ins would be a way to exhaust both.
func (p *Plane) hashPassword(ctx context.Context, password string) (string, error) {
	var salt [argonSalt]byte
	_, _ = rand.Read(salt[:]) // never fails since Go 1.24
	key, err := p.argon(ctx, password, salt[:], argonTime, argonMemory, argonLanes, argonKey)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return argonPrefix + b64(salt[:]) + "$" + b64(key), nil
}

// argonPrefix is how new hashes begin. One that begins otherwise was made with
// other parameters.
var argonPrefix = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, argonMemory, argonTime, argonLanes)

func (p *Plane) checkPassword(ctx context.Context, phc, password string) (bool, error) {
	var version, memory, time uint32
	var lanes uint8
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("control: a stored password hash is not argon2id")
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &lanes); err != nil || version != argon2.Version {
		return false, fmt.Errorf("control: a stored password hash has unknown parameters")
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("control: a stored password hash has a broken salt")
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil {
		return false, fmt.Errorf("control: a stored password hash is broken")
	}
	got, err := p.argon(ctx, password, salt, time, memory, lanes, uint32(len(want)))
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1, err
}

func (p *Plane) argon(ctx context.Context, password string, salt []byte, time, memory uint32, lanes uint8, size uint32) ([]byte, error) {
	select {
	case p.hashing <- struct{}{}:
		defer func() { <-p.hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, time, memory, lanes, size), nil
}

// nobody is the hash that a sign-in with an unknown address is checked against,
// so that it takes as long as one with a known address.
const nobody = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// newAccessKey is an id and a secret as Amazon's look.
func newAccessKey() (id, secret string) {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return "AKIA" + base32.StdEncoding.EncodeToString(b[:]), model.NewSecret(40)
}

// sealSecret binds the secret to its access key id: a row's secret does not open
// under another id.
func (p *Plane) sealSecret(id, secret string) []byte {
	nonce := make([]byte, p.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails since Go 1.24
	return p.seal.Seal(nonce, nonce, []byte(secret), []byte(id))
}

func (p *Plane) openSecret(id string, sealed []byte) (string, error) {
	n := p.seal.NonceSize()
	if len(sealed) < n {
		return "", fmt.Errorf("control: the secret of access key %s is cut", id)
	}
	b, err := p.seal.Open(nil, sealed[:n], sealed[n:], []byte(id))
	if err != nil {
		return "", fmt.Errorf("control: the secret of access key %s does not open with this installation's key: %w", id, err)
	}
	return string(b), nil
}

// AccessKey is who signs with an access key, and the secret to verify that with.
func (p *Plane) AccessKey(ctx context.Context, accessKeyID string) (Actor, string, error) {
	var a Actor
	var sealed []byte
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select k.tenant_id, t.account_id, m.member_id, p.email, m.role, k.secret
			from access_key k join tenant t using (tenant_id) join member m using (tenant_id, member_id) join person p using (person_id)
			where k.access_key_id = $1 and k.enabled`, accessKeyID).
			Scan(&a.Tenant, &a.AccountID, &a.Member, &a.Name, &a.Role, &sealed)
		return err
	})
	if model.KindOf(err) == model.NotFound {
		return Actor{}, "", model.Errorf(model.Unauthenticated, "the access key is unknown or disabled")
	}
	if err != nil {
		return Actor{}, "", err
	}
	secret, err := p.openSecret(accessKeyID, sealed)
	if err != nil {
		return Actor{}, "", err
	}
	return a, secret, nil
}

// tokenHash is what is kept of a random token: it has too many bits to be
// guessed, so a plain hash is enough.
func tokenHash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}
