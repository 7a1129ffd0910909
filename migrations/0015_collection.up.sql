-- What becomes of an invoice once it is final: what it was paid with, what was
-- credited, the tax on it, and what a seller does about one that is not paid.
select set_config('tollgate.tenant', '*', true);

-- Terms of payment, reminders, access and tax of who sells: a tenant, or the operator.
alter table tenant add column billing_rules jsonb not null default '{}';
alter table installation add column billing_rules jsonb not null default '{}';

-- A difference below zero is no invoice: it is an adjustment, which credit notes to
-- the invoices of its month stand for.
alter table invoice add column kind text not null default 'invoice' constraint invoice_kind_check check (kind in ('invoice', 'adjustment')),
  add column tax bigint not null default 0, -- minor units, part of the total
  add column taxes jsonb not null default '[]'; -- each rate with what it is of, and why there is none
alter table invoice_line add column tax bigint not null default 0; -- its part of the invoice's

-- How a final invoice stands.
create table collection (
  tenant_id integer not null,
  invoice_id text not null,
  state text not null check (state in ('open', 'past_due', 'paid', 'void', 'uncollectible')),
  due_at timestamptz not null,
  amount_due bigint not null check (amount_due >= 0), -- minor units: the total less what was credited
  amount_paid bigint not null default 0 check (amount_paid >= 0), -- less what was paid back; may be more than is due
  by text not null default 'hand' check (by in ('hand', 'stripe')), -- who collects it
  attempts integer not null default 0, -- that failed
  last_error text not null default '',
  reminders integer not null default 0, -- that were sent
  updated_at timestamptz not null default now(),
  primary key (tenant_id, invoice_id),
  foreign key (tenant_id, invoice_id) references invoice,
  check (state <> 'paid' or amount_paid >= amount_due),
  check (state not in ('open', 'past_due', 'uncollectible') or amount_paid < amount_due),
  check (state <> 'void' or amount_due = 0)
);
create index collection_unpaid on collection (due_at) where state in ('open', 'past_due');

-- Who sold before payments were kept has the usual term from now on to book them.
insert into collection (tenant_id, invoice_id, state, due_at, amount_due)
  select tenant_id, invoice_id, case when total > 0 then 'open' else 'paid' end, now() + interval '14 days', greatest(total, 0)
  from invoice where state = 'final';

-- Money that came or went, and attempts that failed. One that comes again is the
-- same by its reference.
create table payment (
  tenant_id integer not null,
  payment_id text not null,
  invoice_id text not null,
  amount bigint not null, -- minor units; below zero: paid back
  kind text not null check (kind in ('hand', 'stripe', 'wallet', 'refund', 'failed')),
  reference text not null check (reference <> ''),
  note text not null default '', -- why it failed or was paid back
  at timestamptz not null, -- when the money moved
  by text not null, -- who said so
  created_at timestamptz not null default now(),
  primary key (tenant_id, payment_id),
  foreign key (tenant_id, invoice_id) references invoice,
  constraint payment_once unique (tenant_id, invoice_id, kind, reference),
  check (case kind when 'refund' then amount < 0 when 'failed' then amount = 0 else amount > 0 end)
);

create table credit_note (
  tenant_id integer not null,
  credit_note_id text not null constraint credit_note_id_key unique,
  invoice_id text not null, -- that it is to
  adjustment_id text, -- the difference that it stands for
  kind text not null check (kind in ('credit', 'void', 'refund', 'adjustment')),
  series text not null,
  serial bigint not null, -- without gaps in a series, from 1
  number text not null,
  reference text not null check (reference <> ''),
  reason text not null,
  lines jsonb not null, -- each of the invoice's with its net amount and tax
  tax bigint not null check (tax >= 0), -- minor units, part of the amount
  amount bigint not null check (amount > 0),
  by text not null,
  created_at timestamptz not null,
  primary key (tenant_id, credit_note_id),
  foreign key (tenant_id, invoice_id) references invoice,
  foreign key (tenant_id, adjustment_id) references invoice,
  constraint credit_note_once unique (tenant_id, invoice_id, reference),
  constraint credit_note_serial_key unique (series, serial)
);
create index credit_note_adjustment on credit_note (tenant_id, adjustment_id) where adjustment_id is not null;

create trigger payment_is_immutable before update or delete on payment for each row execute function is_immutable();
create trigger credit_note_is_immutable before update or delete on credit_note for each row execute function is_immutable();

-- Since when a developer's keys are refused for an invoice that is not paid.
alter table developer add column overdue_at timestamptz;
-- What a plan does then; empty: as the seller says.
alter table plan add column unpaid text not null default '' constraint plan_unpaid_check check (unpaid in ('', 'keep', 'suspend'));

do $$
begin
  perform usage_fence(t::regclass) from unnest(array['collection', 'payment', 'credit_note']) t;
end $$;
