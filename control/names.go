package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Names says how host names of tenants are dealt with.
type Names struct {
	// DNS is the address of the DNS server that is asked; default: the system's.
	DNS string
	// Trusted names need no proof; default: none.
	Trusted func(name string) bool
	// Reserved hosts, and all below them, are the installation's own.
	Reserved []string
	// ACME: certificates are got for names that have none.
	ACME bool
}

// names is Names with its defaults, and the key of the proofs.
type names struct {
	lookup   func(ctx context.Context, name string) ([]string, error)
	trusted  func(name string) bool
	reserved []string
	acme     bool
	key      []byte
}

func newNames(o Names, secret []byte) names {
	resolver := net.DefaultResolver
	if o.DNS != "" {
		resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, o.DNS)
		}}
	}
	n := names{lookup: resolver.LookupTXT, trusted: o.Trusted, reserved: o.Reserved, acme: o.ACME}
	if n.trusted == nil {
		n.trusted = func(string) bool { return false }
	}
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("proofs of host names"))
	n.key = h.Sum(nil)
	return n
}

// free refuses names of the installation's own.
func (n *names) free(name string) error {
	bare := strings.TrimPrefix(name, "*.")
	for _, host := range n.reserved {
		if host = strings.ToLower(host); bare == host || strings.HasSuffix(bare, "."+host) || name != bare && strings.HasSuffix(host, "."+bare) {
			return model.Errorf(model.Invalid, "%s is, or covers, one of this installation's own names (%s)", name, host)
		}
	}
	return nil
}

// Proof is the DNS record by which an account shows that a name is its own.
type Proof struct {
	Name       string     `json:"name,omitempty"`
	Record     string     `json:"record"` // the TXT record's name
	Value      string     `json:"value"`
	VerifiedAt *time.Time `json:"verifiedAt,omitempty"`
	CheckedAt  *time.Time `json:"checkedAt,omitempty"`
	Message    string     `json:"message,omitempty"` // of the last look
}

// Advice is what to do for a name that is not proved yet.
func (f *Proof) Advice() string {
	advice := fmt.Sprintf("create the DNS record %s TXT %q", f.Record, f.Value)
	if f.CheckedAt == nil {
		return advice
	}
	return fmt.Sprintf("%s (at the last look, %s UTC: %s)", advice, f.CheckedAt.UTC().Format(time.DateTime), f.Message)
}

const (
	proofLabel  = "_tollgate."
	proofPrefix = "tollgate-verification="
)

// proofRecord is what must be in DNS. It is the same for an account and a name for
// ever, so that it can be there before the domain is.
func (p *Plane) proofRecord(account, name string) (record, value string) {
	h := hmac.New(sha256.New, p.names.key)
	h.Write([]byte(account + " " + name))
	return proofLabel + strings.TrimPrefix(name, "*."), proofPrefix + hex.EncodeToString(h.Sum(nil)[:16])
}

// claim notes that the account wants a name, which some names are proof enough for.
func (w *write) claim(ctx context.Context, p *Plane, name string) error {
	_, err := w.Exec(ctx, `
		insert into owned_name (tenant_id, name, verified_at) values ($1, $2, case when $3 then now() end)
		on conflict (tenant_id, name) do update set claimed_at = now(), checked_at = null, message = '',
			verified_at = coalesce(case when $3 then now() end,
				case when exists (select from domain d where d.tenant_id = $1 and d.public_name = $2) then owned_name.verified_at end)`,
		w.tenant, name, p.names.trusted(name))
	return err
}

// CheckName looks for a name's DNS record now.
func (p *Plane) CheckName(ctx context.Context, actor Actor, name string) (Proof, error) {
	if err := actor.May(ToBuild); err != nil {
		return Proof{}, err
	}
	name = strings.ToLower(name)
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		var one int
		err := tx.QueryRow(ctx, `select 1 from owned_name where tenant_id = $1 and name = $2`, actor.Tenant, name).Scan(&one)
		return missing(err, "the account has no claim to the name %.260q", name)
	})
	if err != nil {
		return Proof{}, err
	}
	return p.checkName(ctx, actor, name)
}

// checkName looks for the record of a claim and notes what it saw.
func (p *Plane) checkName(ctx context.Context, a Actor, name string) (Proof, error) {
	proof := Proof{Name: name}
	proof.Record, proof.Value = p.proofRecord(a.AccountID, name)
	var found []string
	trusted := p.names.trusted(name)
	if !trusted {
		found, proof.Message = p.lookForRecord(ctx, proof)
	}
	if trusted || slices.Contains(found, proof.Value) {
		if err := p.takeOver(ctx, a, name, found); err != nil {
			if model.KindOf(err) != model.Conflict {
				return proof, err
			}
			proof.Message = model.MessageOf(err)
		}
	} else if proof.Message == "" {
		proof.Message = "the record has other values only"
	}
	var at any
	if proof.Message == "" {
		at = p.now()
	}
	_, err := p.writeTo(ctx, system(a), everyTenant, a.AccountID, func(w *write) error {
		// A name once proved stays so: its record may be taken away.
		var was *time.Time
		err := w.QueryRow(ctx, `select verified_at from owned_name where tenant_id = $1 and name = $2 for update`, w.tenant, name).Scan(&was)
		if err != nil {
			return missing(err, "the account has no claim to the name %.260q", name)
		}
		err = w.QueryRow(ctx, `
			update owned_name set checked_at = now(), message = $3, verified_at = coalesce(verified_at, $4)
			where tenant_id = $1 and name = $2 returning verified_at, checked_at`, w.tenant, name, proof.Message, at).Scan(&proof.VerifiedAt, &proof.CheckedAt)
		if err != nil || was != nil || proof.VerifiedAt == nil {
			return err
		}
		if err := w.changedDomains(ctx, `select domain_num from owned_name where tenant_id = $1 and name = $2`, w.tenant, name); err != nil {
			return err
		}
		return w.audit(ctx, "domain.proved", name, nil)
	})
	return proof, err
}

// system acts on an account without anybody having asked.
func system(a Actor) Actor {
	return Actor{Tenant: a.Tenant, AccountID: a.AccountID, Member: "system", Name: "system", Role: RoleOperator}
}

// lookForRecord reads the values of a record, or says why there are none.
func (p *Plane) lookForRecord(ctx context.Context, proof Proof) (values []string, why string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	values, err := p.names.lookup(ctx, proof.Record)
	if err == nil {
		return values, ""
	}
	if e, ok := err.(*net.DNSError); ok && e.IsNotFound {
		return nil, "there is no such record"
	}
	p.log.Info("a host name's record could not be looked up", "record", proof.Record, "error", err)
	return nil, "the DNS did not answer"
}

// takeOver ends another account's hold of a name whose record now names this
// account and no longer the other.
func (p *Plane) takeOver(ctx context.Context, a Actor, name string, found []string) error {
	var other Actor
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select o.tenant_id, t.account_id from owned_name o join tenant t using (tenant_id)
			where o.name = $1 and o.verified_at is not null and o.tenant_id <> $2`, name, a.Tenant).Scan(&other.Tenant, &other.AccountID)
		if err == pgx.ErrNoRows {
			return nil
		}
		return err
	})
	if err != nil || other.Tenant == 0 {
		return err
	}
	if _, value := p.proofRecord(other.AccountID, name); found == nil || slices.Contains(found, value) {
		return model.Errorf(model.Conflict, "another account serves the name, and its DNS record is still there: remove that first")
	}
	_, err = p.writeTo(ctx, system(other), everyTenant, other.AccountID, func(w *write) error {
		if _, err := w.Exec(ctx, `
			update owned_name set verified_at = null, message = 'another account has proved since that the name is its own' where tenant_id = $1 and name = $2`, w.tenant, name); err != nil {
			return err
		}
		if err := w.changedDomains(ctx, `select domain_num from owned_name where tenant_id = $1 and name = $2`, w.tenant, name); err != nil {
			return err
		}
		return w.audit(ctx, "domain.lost", name, nil)
	})
	return err
}

// Of the names that wait, those claimed lately are looked for every half minute,
// older ones each quarter of their age, and those older than a month no more.
const nextLooks = `
	select o.tenant_id, t.account_id, o.name from owned_name o join tenant t using (tenant_id)
	where o.verified_at is null and not t.suspended and o.claimed_at > now() - interval '30 days'
		and (o.checked_at is null or o.checked_at < now() - greatest(interval '25 seconds', (now() - o.claimed_at) / 4))
		and (exists (select from domain d where d.tenant_id = o.tenant_id and d.public_name = o.name)
			or exists (select from certificate c where c.tenant_id = o.tenant_id and c.kind = 'acme' and c.name = o.name))
	order by o.checked_at nulls first limit 50`

// CheckNames looks for the records of names that wait, which a background job does
// twice a minute.
func (p *Plane) CheckNames(ctx context.Context) error {
	type claim struct {
		Tenant  uint32
		Account string
		Name    string
	}
	var claims []claim
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, nextLooks)
		if err != nil {
			return err
		}
		claims, err = pgx.CollectRows(rows, pgx.RowToStructByPos[claim])
		return err
	})
	for _, c := range claims {
		if _, err := p.checkName(ctx, Actor{Tenant: c.Tenant, AccountID: c.Account}, c.Name); err != nil {
			p.log.Warn("a host name could not be checked", "name", c.Name, "error", err)
		}
	}
	return err
}
