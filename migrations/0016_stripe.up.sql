-- Stripe as the rail that money moves on. What is kept here is which object of ours
-- is which of Stripe's, and what was asked for and not answered yet; the truth about
-- a payment is Stripe's, and is read there.

-- A tenant's own account, on which its developers pay.
create table stripe_account (
  tenant_id integer not null references tenant,
  account text not null constraint stripe_account_key unique, -- acct_…
  charges_enabled boolean not null default false,
  payouts_enabled boolean not null default false,
  details_submitted boolean not null default false,
  due integer not null default 0, -- how many details Stripe waits for
  disabled_reason text not null default '',
  disconnected_at timestamptz, -- the tenant took our access away; null: it did not
  seen bigint not null default 0, -- how often what Stripe says was taken over
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, account)
);
create unique index stripe_account_one on stripe_account (tenant_id) where disconnected_at is null;

-- Who pays, on the account that is paid: a developer on the tenant's, the tenant on
-- the operator's. Of a card there is what a person needs to tell it from another.
create table stripe_customer (
  tenant_id integer not null references tenant,
  account text not null, -- empty: the operator's
  developer_id text, -- null: the tenant
  customer text not null, -- cus_…
  method text not null default '', -- pm_…, which pays; empty: none
  brand text not null default '',
  last4 text not null default '' check (length(last4) <= 4),
  exp_month integer not null default 0,
  exp_year integer not null default 0,
  seen bigint not null default 0,
  updated_at timestamptz not null default now(),
  constraint stripe_customer_payer unique nulls not distinct (tenant_id, account, developer_id),
  constraint stripe_customer_key unique (account, customer),
  foreign key (tenant_id, developer_id) references developer,
  check ((account = '') = (developer_id is null))
);

-- Each object that is to be made at Stripe, written before it is asked for: a crash
-- at any point leaves a row that says under which key to ask again.
create table psp_object (
  tenant_id integer not null references tenant,
  account text not null, -- empty: the operator's
  kind text not null check (kind in ('account', 'customer', 'invoice', 'credit_note')),
  local_id text not null, -- ours: it is in the object's metadata
  remote_id text, -- Stripe's; null: not known to be there
  rev integer not null default 1 check (rev > 0), -- raised when it is certain that the key before made nothing
  request_hash text not null default '', -- of what was asked for under the key
  spent boolean not null default false, -- the key was answered with a refusal, which it keeps
  asked_at timestamptz, -- last; null: not yet
  head text, -- of an invoice: the one in whose object at Stripe its lines are
  state text not null default '', -- of an invoice, at Stripe, or 'waiting' while it is too small to be charged
  url text not null default '', -- of an invoice: where its payer sees and pays it
  problem text not null default '', -- why it does not go on; empty: it does
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, account, kind, local_id)
);
create index psp_object_remote on psp_object (account, remote_id);
create index psp_object_open on psp_object (tenant_id, state) where kind = 'invoice' and state in ('', 'waiting', 'draft', 'open');
create index psp_object_problem on psp_object (updated_at desc) where problem <> '';

-- What Stripe told, once each. The content is not kept: what an event is about is
-- read at Stripe when it is worked on, so that their order does not matter.
create table webhook_event (
  account text not null, -- empty: the operator's
  event_id text not null,
  tenant_id integer references tenant, -- whose account it is; null: the operator's, or nobody's
  kind text not null, -- invoice.paid
  object_id text not null,
  created_at timestamptz not null, -- at Stripe
  received_at timestamptz not null default now(),
  swept boolean not null default false, -- found by asking: it had not been delivered
  state text not null default 'new' check (state in ('new', 'done', 'ignored', 'parked')),
  attempts integer not null default 0,
  problem text not null default '',
  done_at timestamptz,
  primary key (account, event_id)
);
create index webhook_event_parked on webhook_event (received_at desc) where state = 'parked';
create index webhook_event_age on webhook_event (received_at);

-- Up to when an account's events were asked for.
create table stripe_cursor (
  account text primary key,
  tenant_id integer references tenant,
  swept_to timestamptz not null
);

do $$
declare
  t text;
begin
  foreach t in array array['stripe_account', 'stripe_customer', 'psp_object', 'webhook_event', 'stripe_cursor']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($policy$create policy tenant_only on %I using (
      tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
  end loop;
end $$;
