-- The mirror of usage as meter events at Stripe: what each hour of a customer's was last said
-- to be there. It is derived from usage_hour, for who looks at Stripe; nothing is billed by it.

-- A meter on an account.
create table stripe_meter (
  account text not null, -- empty: the operator's
  meter text not null, -- calls
  tenant_id integer references tenant, -- whose account it is; null: the operator's
  rev integer not null default 1 check (rev > 0), -- of the key it is asked for under
  problem text not null default '', -- why nothing is sent to it; empty: it is
  planned_at timestamptz, -- when all hours that Stripe takes were last looked at
  updated_at timestamptz not null default now(),
  primary key (account, meter)
);

create table stripe_hour (
  tenant_id integer not null references tenant,
  account text not null,
  customer text not null,
  meter text not null,
  hour timestamptz not null,
  value bigint not null check (value >= 0), -- all of the hour: a later event of it takes the place of the one before
  version integer not null default 1 check (version > 0), -- in the event's identifier, which is taken once
  asked_at timestamptz, -- this version was last sent; null: it was not
  sent_at timestamptz, -- Stripe said that it has it; null: not known
  compared_at timestamptz, -- with what Stripe adds up; null: not yet
  found bigint, -- what Stripe had instead, when it was last compared; null: the same
  problem text not null default '', -- why Stripe refused it
  changed_at timestamptz not null default now(),
  primary key (tenant_id, account, customer, meter, hour),
  foreign key (account, customer) references stripe_customer (account, customer)
);
create index stripe_hour_unsent on stripe_hour (account, hour) where sent_at is null;
create index stripe_hour_account on stripe_hour (account, hour);

do $$
declare
  t text;
begin
  foreach t in array array['stripe_meter', 'stripe_hour']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($policy$create policy tenant_only on %I using (
      tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
  end loop;
end $$;
