package control

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// OperatorCredentials is shown once, when the operator is made.
type OperatorCredentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// CreateOperator makes somebody who runs the installation. An empty password is
// generated.
func (p *Plane) CreateOperator(ctx context.Context, operator Actor, email, name, password string) (OperatorCredentials, error) {
	if err := operator.May(ToOperate); err != nil {
		return OperatorCredentials{}, err
	}
	if err := checkEmail(email); err != nil {
		return OperatorCredentials{}, err
	}
	if name != "" {
		if err := checkName("an operator", name, 128); err != nil {
			return OperatorCredentials{}, err
		}
	}
	if password == "" {
		password = model.NewSecret(24)
	}
	if err := checkPassword(password); err != nil {
		return OperatorCredentials{}, err
	}
	hash, err := p.hashPassword(ctx, password)
	if err != nil {
		return OperatorCredentials{}, err
	}
	err = p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		id := model.NewID(10)
		if _, err := tx.Exec(ctx, `insert into operator (operator_id, email, name, password_hash) values ($1, $2, $3, $4)`, id, email, name, hash); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, "operator.create", email, nil)
	})
	if err != nil {
		return OperatorCredentials{}, err
	}
	return OperatorCredentials{email, password}, nil
}

// ResetOperatorPassword gives an operator who forgot it a new password, generated
// where it is empty, and signs the operator out everywhere.
func (p *Plane) ResetOperatorPassword(ctx context.Context, operator Actor, email, password string) (OperatorCredentials, error) {
	if err := operator.May(ToOperate); err != nil {
		return OperatorCredentials{}, err
	}
	if password == "" {
		password = model.NewSecret(24)
	}
	if err := checkPassword(password); err != nil {
		return OperatorCredentials{}, err
	}
	hash, err := p.hashPassword(ctx, password)
	if err != nil {
		return OperatorCredentials{}, err
	}
	err = p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var id string
		err := tx.QueryRow(ctx, `update operator set password_hash = $2 where lower(email) = lower($1) returning operator_id, email`, email, hash).Scan(&id, &email)
		if err != nil {
			return missing(err, "there is no operator %.254q", email)
		}
		if _, err := endSessions(ctx, tx, RealmOperator, id, nil); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, "operator.password", email, nil)
	})
	if err != nil {
		return OperatorCredentials{}, err
	}
	return OperatorCredentials{email, password}, nil
}

// OperatorSignIn is the operator with this address and password.
func (p *Plane) OperatorSignIn(ctx context.Context, source, email, password string) (Person, error) {
	if len(email) > 254 || len(password) > maxPassword {
		return Person{}, errSignIn
	}
	if err := p.attempt(ctx, try{signInByAddress, source}, try{signInByAccount, "operator " + email}); err != nil {
		return Person{}, err
	}
	return p.authenticate(ctx, email, password, `
		select operator_id, email, name, password_hash from operator where lower(email) = lower($1)`, email)
}

// ChangeOperatorPassword is for who knows the old one; every other browser is
// signed out.
func (p *Plane) ChangeOperatorPassword(ctx context.Context, operator Actor, old, password string, here []byte) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	if err := checkPassword(password); err != nil {
		return err
	}
	if err := p.attempt(ctx, try{signInByAccount, "change " + operator.Member}); err != nil {
		return err
	}
	_, err := p.authenticate(ctx, "", old, `select operator_id, email, name, password_hash from operator where operator_id = $1`, operator.Member)
	if model.KindOf(err) == model.Unauthenticated {
		return model.Errorf(model.Invalid, "the present password is wrong")
	}
	if err != nil {
		return err
	}
	hash, err := p.hashPassword(ctx, password)
	if err != nil {
		return err
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update operator set password_hash = $2 where operator_id = $1`, operator.Member, hash); err != nil {
			return err
		}
		if _, err := endSessions(ctx, tx, RealmOperator, operator.Member, here); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, "operator.password", operator.Name, nil)
	})
}

// OperatorAccount is somebody who runs the installation.
type OperatorAccount struct {
	ID        string
	Email     string
	Name      string
	CreatedAt time.Time
	SeenAt    *time.Time // last request of a session there is; nil: none
	Sessions  int64
}

// Operators lists who runs the installation.
func (p *Plane) Operators(ctx context.Context, operator Actor) (out []OperatorAccount, err error) {
	if err := operator.May(ToOperate); err != nil {
		return nil, err
	}
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select o.operator_id, o.email, o.name, o.created_at, s.seen_at, s.n
			from operator o, lateral (
				select max(seen_at) as seen_at, count(*) as n from session where realm = 'operator' and subject = o.operator_id and expires_at > $1) s
			order by lower(o.email)`, p.now())
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[OperatorAccount])
		return err
	})
	return out, err
}

// RemoveOperator ends somebody's running of the installation, in every browser at
// once. Nobody removes himself, so one is always left.
func (p *Plane) RemoveOperator(ctx context.Context, operator Actor, id string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	if id == operator.Member {
		return model.Errorf(model.Conflict, "you cannot remove yourself; ask another operator")
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		// Two who remove each other come one after the other, and the second is gone.
		if _, err := tx.Exec(ctx, `lock table operator in share row exclusive mode`); err != nil {
			return err
		}
		if operator.Member != Operator().Member {
			var me int
			if err := tx.QueryRow(ctx, `select 1 from operator where operator_id = $1`, operator.Member).Scan(&me); err != nil {
				return missing(err, "you are not an operator any more")
			}
		}
		var email string
		if err := tx.QueryRow(ctx, `delete from operator where operator_id = $1 returning email`, id).Scan(&email); err != nil {
			return missing(err, "there is no operator %.40q", id)
		}
		if _, err := endSessions(ctx, tx, RealmOperator, id, nil); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, "operator.remove", email, nil)
	})
}
