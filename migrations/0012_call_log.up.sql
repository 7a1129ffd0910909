-- What people read of calls: bounded, kept for days, and never counted from. A day is a
-- partition, which goes as a whole.
create table call_log (
  tenant_id integer not null,
  at timestamptz not null, -- the call's end
  request_id uuid not null,
  tx bigint not null default pg_current_xact_id()::text::bigint, -- that put it in: what followers go by
  stage_num integer not null,
  method_num integer not null,
  key_num integer not null,
  subscription_id bigint not null,
  status integer not null,
  flags integer not null,
  canary boolean not null,
  bytes_in bigint not null,
  bytes_out bigint not null,
  micros bigint not null,
  integration_micros bigint, -- null: none was asked
  kind text not null,        -- gateway-response type; empty: the gateway did not answer itself
  step text not null,
  why text not null,
  verb text not null,
  path text not null,
  ip text not null,
  agent text not null,
  principal text not null,
  trace text not null,
  primary key (tenant_id, at, request_id)
) partition by range (at);
create index call_log_request on call_log (tenant_id, request_id);
create index call_log_stage on call_log (tenant_id, stage_num, at);
create index call_log_tx on call_log (tenant_id, tx);
create table call_log_default partition of call_log default;

-- How many calls of a stage are not in the log, and lines not in its access log.
create table call_left (
  tenant_id integer not null,
  stage_num integer not null,
  minute timestamptz not null,
  calls bigint not null check (calls >= 0),
  lines bigint not null check (lines >= 0),
  primary key (tenant_id, stage_num, minute)
);
create index call_left_minute on call_left (minute);

-- The last batch that a start of a node handed in: one that comes again is known.
create table call_boot (
  boot uuid primary key,
  gateway_id integer not null references gateway,
  seq bigint not null check (seq > 0),
  seen_at timestamptz not null default now()
);

do $$
begin
  perform usage_fence(t::regclass) from unnest(array['call_log', 'call_log_default', 'call_left']) t;
end $$;
