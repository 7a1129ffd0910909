package control

import (
	"context"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// sharedGateway is made by the first migration; every account starts there.
const (
	sharedGateway   = 1
	sharedName      = "shared"
	kindOfShared    = "shared"
	kindOfDedicated = KindDedicated
)

// KindDedicated is the kind of gateways that serve one account.
const KindDedicated = "dedicated"

// SharedNode is a node of the shared gateway within this process.
func SharedNode(name string) NodeIdentity {
	return NodeIdentity{Gateway: sharedGateway, GatewayName: sharedName, Node: name}
}

// CreateGateway makes a gateway dedicated to an account, or, with an empty
// accountID, a further shared one. MoveTenant puts tenants on it.
func (p *Plane) CreateGateway(ctx context.Context, operator Actor, name, accountID string) (Gateway, error) {
	if err := operator.May(ToOperate); err != nil {
		return Gateway{}, err
	}
	g := Gateway{Name: name, Kind: kindOfShared, AccountID: accountID}
	err := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var tenant *uint32
		if accountID != "" {
			g.Kind = kindOfDedicated
			err := tx.QueryRow(ctx, `select tenant_id from tenant where account_id = $1`, accountID).Scan(&tenant)
			if err != nil {
				return missing(err, "there is no account %s", accountID)
			}
		}
		if tenant != nil {
			g.Tenant = *tenant
		}
		err := tx.QueryRow(ctx, `
			insert into gateway (name, kind, tenant_id) values ($1, $2, $3) returning gateway_id`, name, g.Kind, tenant).Scan(&g.ID)
		if err != nil {
			return err
		}
		return audit(ctx, tx, operator, tenant, "gateway.create", name, map[string]any{"kind": g.Kind})
	})
	if err != nil {
		return Gateway{}, err
	}
	return g, nil
}

// Gateways lists the gateways by name.
func (p *Plane) Gateways(ctx context.Context, operator Actor) ([]Gateway, error) {
	if err := operator.May(ToOperate); err != nil {
		return nil, err
	}
	var out []Gateway
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+gatewayColumns+` from gateway g left join tenant t on t.tenant_id = g.tenant_id order by g.name`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (g Gateway, err error) { return g, r.Scan(g.fields()...) })
		return err
	})
	return out, err
}

const gatewayColumns = `g.gateway_id, g.name, g.kind, coalesce(t.account_id, ''), coalesce(t.tenant_id, 0), coalesce(g.url, ''), coalesce(g.run_addr, ''), coalesce(g.run_tls_addr, '')`

func (g *Gateway) fields() []any {
	return []any{&g.ID, &g.Name, &g.Kind, &g.AccountID, &g.Tenant, &g.URL, &g.Addr, &g.TLSAddr}
}

// PlaceGateway says where a gateway is: at which address callers find it, and whether
// tollgate runs a node of it. The first gateway is in tollgate itself, and its address is
// the installation's setting.
func (p *Plane) PlaceGateway(ctx context.Context, operator Actor, gateway string, to Place) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	if err := to.check(); err != nil {
		return err
	}
	err := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		id, err := gatewayID(ctx, tx, gateway)
		if err != nil {
			return err
		}
		if id == sharedGateway && to != (Place{}) {
			return model.Errorf(model.Invalid, "gateway %s runs in tollgate itself: its address is the setting TOLLGATE_GATEWAY_URL", gateway)
		}
		var other string
		err = tx.QueryRow(ctx, `
			select coalesce((select name from gateway where gateway_id <> $1 and (run_addr in ($2, $3) or run_tls_addr in ($2, $3)) limit 1), '')`,
			id, to.Addr, to.TLSAddr).Scan(&other)
		if err != nil {
			return err
		}
		if other != "" {
			return model.Errorf(model.Conflict, "gateway %s listens there already; choose another port", other)
		}
		if _, err := tx.Exec(ctx, `
			update gateway set url = nullif($2, ''), run_addr = nullif($3, ''), run_tls_addr = nullif($4, '') where gateway_id = $1`,
			id, to.URL, to.Addr, to.TLSAddr); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, "gateway.place", gateway, map[string]any{"url": to.URL, "addr": to.Addr, "tlsAddr": to.TLSAddr})
	})
	if err == nil {
		p.places.forget()
	}
	return err
}

func (to Place) check() error {
	if to.URL != "" {
		if u, err := url.Parse(to.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || len(to.URL) > 300 {
			return model.Errorf(model.Invalid, "%.300q is not an address such as https://acme.example.com", to.URL)
		}
	}
	for _, a := range []string{to.Addr, to.TLSAddr} {
		if a == "" {
			continue
		}
		at, err := netip.ParseAddrPort(a)
		if err != nil || at.Port() == 0 {
			return model.Errorf(model.Invalid, "%.60q is not an address and a port, such as 127.0.0.1:8091", a)
		}
	}
	if to.TLSAddr != "" && (to.Addr == "" || to.Addr == to.TLSAddr) {
		return model.Errorf(model.Invalid, "a node that tollgate runs listens at an address without TLS, and may at another one with it")
	}
	return nil
}

// places is what GatewayURL knows: the addresses of gateways that have their own, by the
// tenants that they serve.
type places struct {
	mu    sync.Mutex
	read  time.Time
	known map[uint32]*url.URL
}

// placesFor is how long they are believed: a change shows within.
const placesFor = 2 * time.Second

func (s *places) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = time.Time{}
}

// GatewayURL is the public address of the gateway that serves a tenant; the one given where
// the gateway has none of its own.
func (p *Plane) GatewayURL(ctx context.Context, tenant uint32, otherwise *url.URL) *url.URL {
	p.places.mu.Lock()
	defer p.places.mu.Unlock()
	if now := time.Now(); now.Sub(p.places.read) > placesFor {
		known := map[uint32]*url.URL{}
		err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `select t.tenant_id, g.url from tenant t join gateway g using (gateway_id) where g.url is not null`)
			if err != nil {
				return err
			}
			var tenant uint32
			var at string
			_, err = pgx.ForEachRow(rows, []any{&tenant, &at}, func() error {
				u, err := url.Parse(strings.TrimSuffix(at, "/"))
				known[tenant] = u
				return err
			})
			return err
		})
		if err == nil { // else what was known a moment ago
			p.places.known, p.places.read = known, now
		}
	}
	if u := p.places.known[tenant]; u != nil {
		return u
	}
	return otherwise
}

var nodeName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,126}[a-zA-Z0-9])?$`)

func checkNodeName(name string) error {
	if !nodeName.MatchString(name) {
		return model.Errorf(model.Invalid, "node name %.140q is not 1 to 128 letters, digits, dots, hyphens and underscores, with a letter or digit at both ends", name)
	}
	return nil
}

// CreateNodeToken lets a node of a gateway in. The token is shown once; a node may
// have several at a time, so that one can be replaced without a gap.
func (p *Plane) CreateNodeToken(ctx context.Context, operator Actor, gateway, node string) (string, error) {
	if err := operator.May(ToOperate); err != nil {
		return "", err
	}
	if err := checkNodeName(node); err != nil {
		return "", err
	}
	token := NewNodeToken()
	err := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		g, err := gatewayID(ctx, tx, gateway)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into node_token (token_hash, gateway_id, node) values ($1, $2, $3)`,
			tokenHash(token), g, node); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, "node.token", gateway+"/"+node, nil)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

var nodeToken = regexp.MustCompile(`^tgn_[A-Za-z0-9]{40,128}$`)

// NewNodeToken is a token that AdmitNodeToken can let in.
func NewNodeToken() string { return "tgn_" + model.NewSecret(40) }

// AdmitNodeToken lets a node in by a token that was made elsewhere, by
// NewNodeToken or at random by whoever installs nodes. Letting the same one in
// again changes nothing; one that lets another node in is a conflict.
func (p *Plane) AdmitNodeToken(ctx context.Context, operator Actor, gateway, node, token string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	if err := checkNodeName(node); err != nil {
		return err
	}
	if !nodeToken.MatchString(token) {
		return model.Errorf(model.Invalid, "a node token is tgn_ and 40 to 128 random letters and digits")
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		g, err := gatewayID(ctx, tx, gateway)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `insert into node_token (token_hash, gateway_id, node) values ($1, $2, $3) on conflict (token_hash) do nothing`,
			tokenHash(token), g, node)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 1 {
			return audit(ctx, tx, operator, nil, "node.token", gateway+"/"+node, nil)
		}
		var same bool
		if err := tx.QueryRow(ctx, `select gateway_id = $2 and node = $3 from node_token where token_hash = $1`, tokenHash(token), g, node).Scan(&same); err != nil {
			return err
		}
		if !same {
			return model.Errorf(model.Conflict, "the token lets another node in already: every node wants one of its own")
		}
		return nil
	})
}

// RevokeNodeTokens keeps a node out: none of its tokens is accepted any more.
func (p *Plane) RevokeNodeTokens(ctx context.Context, operator Actor, gateway, node string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		g, err := gatewayID(ctx, tx, gateway)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `delete from node_token where gateway_id = $1 and node = $2`, g, node)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return model.Errorf(model.NotFound, "node %q of gateway %q has no token", node, gateway)
		}
		return audit(ctx, tx, operator, nil, "node.revoke", gateway+"/"+node, nil)
	})
}

// ForgetNode takes a node that is gone for good off the list. One that comes back
// is there again.
func (p *Plane) ForgetNode(ctx context.Context, operator Actor, gateway, node string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		g, err := gatewayID(ctx, tx, gateway)
		if err != nil {
			return err
		}
		var live bool
		err = tx.QueryRow(ctx, `select connected and seen_at > now() - interval '`+liveFor+`' from node where gateway_id = $1 and name = $2 for update`, g, node).Scan(&live)
		if err != nil {
			return missing(err, "gateway %q has no node %q", gateway, node)
		}
		if live {
			return model.Errorf(model.Conflict, "node %q of gateway %q is connected; stop it first", node, gateway)
		}
		if _, err := tx.Exec(ctx, `delete from node where gateway_id = $1 and name = $2`, g, node); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, "node.forget", gateway+"/"+node, nil)
	})
}

func gatewayID(ctx context.Context, tx pgx.Tx, name string) (int32, error) {
	var id int32
	err := tx.QueryRow(ctx, `select gateway_id from gateway where name = $1`, name).Scan(&id)
	return id, missing(err, "there is no gateway %q", name)
}

// AuthenticateNode is the node that a token was made for.
func (p *Plane) AuthenticateNode(ctx context.Context, token string) (NodeIdentity, error) {
	var n NodeIdentity
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select g.gateway_id, g.name, t.node, coalesce(g.tenant_id, 0)
			from node_token t join gateway g using (gateway_id) where t.token_hash = $1`, tokenHash(token)).
			Scan(&n.Gateway, &n.GatewayName, &n.Node, &n.Tenant)
	})
	if model.KindOf(err) == model.NotFound {
		return NodeIdentity{}, model.Errorf(model.Unauthenticated, "the node token is unknown or was revoked; make one with: tollgate node create")
	}
	if err != nil {
		return NodeIdentity{}, err
	}
	return n, nil
}
