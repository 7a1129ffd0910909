-- Prepaid credit: what somebody who pays has with who sells, kept by double entry; and
-- coupons, which take something off a customer's months.
select set_config('tollgate.tenant', '*', true);

-- One of each payer and currency. balance and owed are what the entries come to: they
-- are written by the trigger below and by nobody else.
create table wallet (
  tenant_id integer not null references tenant,
  wallet_id text not null,
  developer_id text, -- whose it is; null: the tenant's own, with the operator
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  balance bigint not null default 0 check (balance >= 0), -- minor units
  owed bigint not null default 0 check (owed >= 0), -- of a payment that went back after it was used
  refill_below bigint check (refill_below > 0), -- topped up by itself below this; null: it is not
  refill_by bigint check (refill_by > 0),
  created_at timestamptz not null default now(),
  primary key (tenant_id, wallet_id),
  constraint wallet_payer unique nulls not distinct (tenant_id, developer_id, currency),
  foreign key (tenant_id, developer_id) references developer,
  check ((refill_below is null) = (refill_by is null)),
  check (balance = 0 or owed = 0) -- what comes in fills what is owed first
);

-- What was put in at once, of which the rest is used up in the order of its priority.
create table credit_grant (
  tenant_id integer not null,
  grant_id text not null,
  serial bigint generated always as identity, -- of equals the older is used first
  wallet_id text not null,
  kind text not null check (kind in ('paid', 'granted')),
  amount bigint not null check (amount > 0),
  remaining bigint not null default 0 check (remaining between 0 and amount), -- by the trigger below
  priority smallint not null check (priority between 0 and 100), -- the least is used first
  expires_at timestamptz,
  invoice_id text, -- that it was paid with
  reason text not null default '',
  by text not null,
  created_at timestamptz not null,
  primary key (tenant_id, grant_id),
  constraint credit_grant_wallet unique (tenant_id, wallet_id, grant_id),
  foreign key (tenant_id, wallet_id) references wallet,
  foreign key (tenant_id, invoice_id) references invoice,
  check ((kind = 'paid') = (invoice_id is not null))
);
create index credit_grant_expiry on credit_grant (expires_at) where remaining > 0;
create index credit_grant_invoice on credit_grant (tenant_id, invoice_id) where invoice_id is not null;

create function grant_terms_are_fixed() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' or to_jsonb(new) - 'remaining' <> to_jsonb(old) - 'remaining' then
    raise exception 'what was granted is never changed';
  end if;
  return new;
end $$;
create trigger grant_terms_are_fixed before update or delete on credit_grant
  for each row execute function grant_terms_are_fixed();

-- One happening, known by its reference: a second time it is the one there is.
create table ledger_transaction (
  tenant_id integer not null,
  transaction_id bigint generated always as identity,
  wallet_id text not null,
  kind text not null check (kind in ('top-up', 'take-back', 'grant', 'revoke', 'spend', 'give-back', 'expire')),
  reference text not null check (reference <> ''),
  invoice_id text, -- that paid for it, or was paid
  note text not null default '',
  by text not null,
  at timestamptz not null,
  primary key (tenant_id, transaction_id),
  constraint ledger_once unique (tenant_id, wallet_id, kind, reference),
  constraint ledger_transaction_wallet unique (tenant_id, wallet_id, transaction_id),
  foreign key (tenant_id, wallet_id) references wallet,
  foreign key (tenant_id, invoice_id) references invoice
);
create index ledger_transaction_invoice on ledger_transaction (tenant_id, invoice_id) where invoice_id is not null;

-- The sides of a transaction, which come to nothing. On 'credit' is what the payer has,
-- grant by grant; on 'owed', below zero, what it owes. The others are where it came
-- from (below zero) and where it went.
create table ledger_entry (
  tenant_id integer not null,
  transaction_id bigint not null,
  line integer not null,
  wallet_id text not null,
  account text not null check (account in ('credit', 'owed', 'paid-in', 'granted', 'spent', 'expired')),
  grant_id text,
  amount bigint not null check (amount <> 0), -- minor units
  primary key (tenant_id, transaction_id, line),
  foreign key (tenant_id, wallet_id, transaction_id) references ledger_transaction (tenant_id, wallet_id, transaction_id),
  foreign key (tenant_id, wallet_id, grant_id) references credit_grant (tenant_id, wallet_id, grant_id),
  check ((account = 'credit') = (grant_id is not null))
);
create index ledger_entry_wallet on ledger_entry (tenant_id, wallet_id, transaction_id);
create index ledger_entry_grant on ledger_entry (tenant_id, grant_id) where grant_id is not null;

create trigger ledger_transaction_is_immutable before update or delete on ledger_transaction for each row execute function is_immutable();
create trigger ledger_entry_is_immutable before update or delete on ledger_entry for each row execute function is_immutable();

create function ledger_entry_counts() returns trigger language plpgsql as $$
begin
  if new.account = 'credit' then
    update credit_grant set remaining = remaining + new.amount where (tenant_id, grant_id) = (new.tenant_id, new.grant_id);
    update wallet set balance = balance + new.amount where (tenant_id, wallet_id) = (new.tenant_id, new.wallet_id);
  elsif new.account = 'owed' then
    update wallet set owed = owed - new.amount where (tenant_id, wallet_id) = (new.tenant_id, new.wallet_id);
  end if;
  return null;
end $$;
create trigger ledger_entry_counts after insert on ledger_entry for each row execute function ledger_entry_counts();

-- Looked at when the whole is committed.
create function ledger_balances() returns trigger language plpgsql as $$
declare
  n bigint;
  off numeric;
begin
  select count(*), sum(amount) into n, off from ledger_entry where (tenant_id, transaction_id) = (new.tenant_id, new.transaction_id);
  if n < 2 or off <> 0 then
    raise exception 'transaction % of the ledger does not balance: % entries come to %', new.transaction_id, n, off;
  end if;
  return null;
end $$;
create constraint trigger ledger_balances after insert on ledger_transaction deferrable initially deferred for each row execute function ledger_balances();
create constraint trigger ledger_balances after insert on ledger_entry deferrable initially deferred for each row execute function ledger_balances();

-- A top-up is an invoice of its own kind, without tax: what it pays for later is taxed.
-- A payment from a wallet that goes back is one below zero.
alter table invoice drop constraint invoice_kind_check,
  add constraint invoice_kind_check check (kind in ('invoice', 'adjustment', 'top-up'));
alter table payment drop constraint payment_check,
  add constraint payment_check check (case kind when 'refund' then amount < 0 when 'failed' then amount = 0 when 'wallet' then amount <> 0 else amount > 0 end);

-- Codes that take something off. A use holds the terms as they were, so that an invoice
-- comes out the same whatever becomes of the coupon.
create table coupon (
  tenant_id integer references tenant, -- who gives it; null: the operator
  coupon_id text primary key,
  code text not null check (code ~ '^[A-Z0-9][A-Z0-9-]{2,39}$'),
  percent text not null default '', -- or an amount of the currency
  amount text not null default '',
  currency text not null default '' check (currency ~ '^([A-Z]{3})?$'),
  months integer not null check (months >= 0), -- from the one it is entered in; 0: for ever
  plan_id text, -- off this plan only; null: off all
  most integer check (most > 0), -- customers; null: as many as there are
  expires_at timestamptz, -- not entered from then on; it goes on where it is
  created_by text not null,
  created_at timestamptz not null,
  withdrawn_at timestamptz, -- not entered any more
  constraint coupon_code unique nulls not distinct (tenant_id, code),
  foreign key (tenant_id, plan_id) references plan,
  check ((percent = '') <> (amount = '') and (amount = '') = (currency = ''))
);

create table coupon_use (
  tenant_id integer not null references tenant,
  use_id text not null,
  coupon_id text not null references coupon,
  developer_id text, -- who has it; null: the tenant, of the operator
  code text not null,
  percent text not null,
  amount text not null,
  currency text not null,
  plan_id text,
  from_month timestamptz not null check (from_month = date_trunc('month', from_month, 'UTC')),
  until_month timestamptz check (until_month = date_trunc('month', until_month, 'UTC')), -- the first it is not for; null: for ever
  by text not null,
  used_at timestamptz not null,
  primary key (tenant_id, use_id),
  constraint coupon_use_once unique nulls not distinct (tenant_id, developer_id, coupon_id),
  foreign key (tenant_id, developer_id) references developer,
  check (until_month >= from_month)
);
create index coupon_use_coupon on coupon_use (coupon_id);

-- Lines of coupons and of top-ups are of no price sheet.
alter table invoice_line alter column sheet_num drop not null,
  add column use_id text, -- of a customer's coupon
  add foreign key (tenant_id, use_id) references coupon_use,
  drop constraint invoice_line_meter_check,
  add constraint invoice_line_meter_check check (meter in ('fee', 'calls', 'bytes-out', 'minimum', 'maximum', 'discount', 'coupon', 'top-up')),
  add constraint invoice_line_sheet_check check ((sheet_num is null) = (use_id is not null or meter = 'top-up'));

do $$
begin
  perform usage_fence(t::regclass) from unnest(array['wallet', 'credit_grant', 'ledger_transaction', 'ledger_entry', 'coupon', 'coupon_use']) t;
end $$;
