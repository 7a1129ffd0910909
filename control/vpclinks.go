package control

import (
	"context"
	"math"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// VPCLink names what is reached in a private network: a load balancer's ARN, as tools for
// Amazon's service give it, and the addresses that nodes send calls to, which must be in
// networks that the operator lets upstreams be in. All of them are in TargetARNs.
type VPCLink struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	TargetARNs  []string          `json:"targetArns"`
	CreatedAt   time.Time         `json:"createdAt"`
	Tags        map[string]string `json:"tags"`
}

const linkColumns = `l.link_id, l.name, l.description, l.target_arns, l.created_at,
	coalesce((select tags from tag g where g.tenant_id = l.tenant_id and g.resource = '/vpclinks/' || l.link_id), '{}')`

func (l *VPCLink) fields() []any {
	return []any{&l.ID, &l.Name, &l.Description, &l.TargetARNs, &l.CreatedAt, &l.Tags}
}

// MaxVPCLinks is how many an account may have.
const (
	MaxVPCLinks   = 20
	maxARN        = 2048
	maxTargetText = 300
)

var anyARN = regexp.MustCompile(`^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:\d*:\S+$`)

func (l *VPCLink) check() error {
	if strings.TrimSpace(l.Name) == "" {
		return model.Errorf(model.Invalid, "Name cannot be empty")
	}
	if err := checkName("a VPC link", l.Name, 1024); err != nil {
		return err
	}
	return checkDescription(l.Description)
}

// Targets are the addresses that calls are sent to.
func (l *VPCLink) Targets() (out []string) {
	for _, t := range l.TargetARNs {
		if !strings.HasPrefix(t, "arn:") {
			out = append(out, t)
		}
	}
	return out
}

// ARNs are what is no address.
func (l *VPCLink) ARNs() (out []string) {
	for _, t := range l.TargetARNs {
		if strings.HasPrefix(t, "arn:") {
			out = append(out, t)
		}
	}
	return out
}

// linkConfig is what nodes know of a link.
func linkConfig(id string, targetARNs []string) model.LinkConfig {
	l := VPCLink{TargetARNs: targetARNs}
	return model.LinkConfig{ID: id, Targets: l.Targets(), ARN: strings.Join(l.ARNs(), " ")}
}

// TrialLinks are an account's, for the process's own trials of methods.
func (p *Plane) TrialLinks(ctx context.Context, accountID string) (out []model.LinkConfig, err error) {
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select l.link_id, l.target_arns from vpc_link l join tenant t using (tenant_id) where t.account_id = $1 order by l.link_id`, accountID)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (model.LinkConfig, error) {
			var id string
			var targets []string
			err := r.Scan(&id, &targets)
			return linkConfig(id, targets), err
		})
		return err
	})
	return out, err
}

// SetTargets exchanges the addresses.
func (l *VPCLink) SetTargets(targets []string) { l.TargetARNs = append(l.ARNs(), targets...) }

func checkTarget(t string) error {
	host, port, err := net.SplitHostPort(t)
	n, no := strconv.ParseUint(port, 10, 16)
	if err != nil || no != nil || n == 0 || host == "" || len(t) > maxTargetText || len(host) > 253 || strings.ContainsAny(host, " /?#@\t\r\n") {
		return model.Errorf(model.Invalid, "target %.300q is neither an ARN nor an address such as 10.0.0.5:8080", t)
	}
	return nil
}

func checkTargets(all []string) error {
	var arns, addresses []string
	for _, t := range all {
		if _, _, err := net.SplitHostPort(t); err == nil && !strings.HasPrefix(t, "arn:") {
			if err := checkTarget(t); err != nil {
				return err
			}
			addresses = append(addresses, t)
			continue
		}
		arns = append(arns, t)
	}
	if len(addresses) > model.MaxLinkTargets {
		return model.Errorf(model.Limit, "the VPC link has %d addresses; at most %d are allowed", len(addresses), model.MaxLinkTargets)
	}
	for _, arn := range arns {
		if !anyARN.MatchString(arn) || len(arn) > maxARN {
			return model.Errorf(model.Invalid, "Invalid ARN. ARN is not well formed %.200s", arn)
		}
	}
	switch {
	case len(all) == 0:
		return model.Errorf(model.Invalid, "No target arn specified for vpc link.")
	case len(arns) > 1:
		return model.Errorf(model.Invalid, "More than one target arn specified for vpc link.")
	}
	return nil
}

// CreateVPCLink keeps a link; only what an editor of its name and description
// gives, its targets and its tags are read of in.
func (p *Plane) CreateVPCLink(ctx context.Context, actor Actor, in VPCLink) (VPCLink, error) {
	if err := in.check(); err != nil {
		return VPCLink{}, err
	}
	if err := checkTargets(in.TargetARNs); err != nil {
		return VPCLink{}, err
	}
	var out VPCLink
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		var n int
		if err := w.QueryRow(ctx, `select count(*) from vpc_link where tenant_id = $1`, w.tenant).Scan(&n); err != nil {
			return err
		}
		if n >= MaxVPCLinks {
			return model.Errorf(model.Limit, "the account has %d VPC links, the most it may have; delete one first", n)
		}
		id := model.NewID(6)
		if _, err := w.Exec(ctx, `
			insert into vpc_link (tenant_id, link_id, name, description, target_arns) values ($1, $2, $3, $4, $5)`,
			w.tenant, id, in.Name, in.Description, in.TargetARNs); err != nil {
			return err
		}
		if err := w.tag(ctx, "/vpclinks/"+id, in.Tags, nil); err != nil {
			return err
		}
		w.changedLinks()
		var err error
		if out, err = readLink(ctx, w, w.tenant, id); err != nil {
			return err
		}
		return w.audit(ctx, "vpc-link.create", id, map[string]any{"name": in.Name, "targets": in.TargetARNs})
	})
	return out, err
}

// VPCLinks lists the account's by id.
func (p *Plane) VPCLinks(ctx context.Context, actor Actor, pg Page) (List[VPCLink], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[VPCLink]{}, err
	}
	var out List[VPCLink]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+linkColumns+` from vpc_link l where l.tenant_id = $1 and l.link_id > $2 order by l.link_id limit $3`, actor.Tenant, from.ID, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (l VPCLink, err error) { return l, r.Scan(l.fields()...) })
		out = page(items, limit, func(l *VPCLink) after { return after{ID: l.ID} })
		return err
	})
	return out, err
}

// VPCLink is one of the account's.
func (p *Plane) VPCLink(ctx context.Context, actor Actor, id string) (out VPCLink, err error) {
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		out, err = readLink(ctx, tx, actor.Tenant, id)
		return err
	})
	return out, err
}

func readLink(ctx context.Context, tx pgx.Tx, tenant uint32, id string) (l VPCLink, err error) {
	err = tx.QueryRow(ctx, `select `+linkColumns+` from vpc_link l where l.tenant_id = $1 and l.link_id = $2`, tenant, id).Scan(l.fields()...)
	return l, missing(err, "there is no VPC link %.100q", id)
}

// changedLinks notes that nodes must look at the account's links, which come with its
// stages.
func (w *write) changedLinks() { w.changedRange(kindStage, 0, math.MaxInt64) }

// UpdateVPCLink changes a link's name, description and targets, which takes effect at
// once.
func (p *Plane) UpdateVPCLink(ctx context.Context, actor Actor, id string, edit func(*VPCLink) error) (out VPCLink, err error) {
	_, err = p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		if out, err = readLink(ctx, w, w.tenant, id); err != nil {
			return err
		}
		if err := edit(&out); err != nil {
			return err
		}
		if err := out.check(); err != nil {
			return err
		}
		if err := checkTargets(out.TargetARNs); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `
			update vpc_link set name = $3, description = $4, target_arns = $5 where tenant_id = $1 and link_id = $2`, w.tenant, id, out.Name, out.Description, out.TargetARNs); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `delete from link_target where tenant_id = $1 and link_id = $2 and target <> all($3)`, w.tenant, id, out.TargetARNs); err != nil {
			return err
		}
		w.changedLinks()
		return w.audit(ctx, "vpc-link.update", id, map[string]any{"name": out.Name, "targets": out.TargetARNs})
	})
	return out, err
}

// DeleteVPCLink forgets a link that no stage serves a method through.
func (p *Plane) DeleteVPCLink(ctx context.Context, actor Actor, id string) error {
	_, err := p.writeAs(ctx, actor, ToBuild, func(w *write) error {
		if _, err := readLink(ctx, w, w.tenant, id); err != nil {
			return err
		}
		uses, err := linkUses(ctx, w, w.tenant, id)
		if err != nil {
			return err
		}
		if users := served(uses); users != "" {
			return model.Errorf(model.Invalid, "Cannot delete vpc link. Vpc link '%s', is referenced in [%s] in format of [RESTApiId:Method:Resource:Stage].", id, users)
		}
		if err := w.untag(ctx, "/vpclinks/"+id); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `delete from vpc_link where tenant_id = $1 and link_id = $2`, w.tenant, id); err != nil {
			return err
		}
		w.changedLinks()
		return w.audit(ctx, "vpc-link.delete", id, nil)
	})
	return err
}
