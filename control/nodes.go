package control

import (
	"context"
	"regexp"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// sharedGateway is made by the first migration; every account starts there.
const (
	sharedGateway   = 1
	sharedName      = "shared"
	kindOfShared    = "shared"
	kindOfDedicated = "dedicated"
)

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
			select g.gateway_id, g.name, g.kind, coalesce(t.account_id, '')
			from gateway g left join tenant t using (tenant_id) order by g.name`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Gateway])
		return err
	})
	return out, err
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
