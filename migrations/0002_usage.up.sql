-- What the journals of gateway nodes hand in. A batch's name (boot, seq) and its
-- lines go in by one transaction, so a batch counts once however often it comes.

-- One start of a gateway node.
create table usage_boot (
  boot uuid primary key,
  gateway_id integer not null references gateway,
  state text not null default 'live' check (state in ('live', 'closed', 'abandoned')),
  contiguous_seq bigint not null default 0, -- every batch up to this one is in
  last_seq bigint,                          -- of the final batch, once that is in
  watermark timestamptz,                    -- no call of this boot earlier than this is still to come
  batches bigint not null default 0,
  calls bigint not null default 0,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  check (contiguous_seq >= 0 and (last_seq is null or contiguous_seq <= last_seq)),
  check ((state = 'closed') = (last_seq is not null and contiguous_seq = last_seq) or state = 'abandoned')
);
create index usage_boot_open on usage_boot (watermark) where state <> 'closed';

-- Not partitioned: a unique key over partitions would have to hold the time, and
-- then not tell a repeated batch. What is below contiguous_seq may be pruned.
create table usage_batch (
  boot uuid not null references usage_boot,
  seq bigint not null check (seq > 0),
  gateway_id integer not null,
  hash bytea not null check (length(hash) = 32),
  lines integer not null,
  calls bigint not null,
  t_min timestamptz,
  t_max timestamptz,
  watermark timestamptz not null,
  final boolean not null,
  received_at timestamptz not null default now(),
  primary key (boot, seq)
);
create index usage_batch_age on usage_batch (received_at);

-- Batches that were refused, as they came.
create table usage_quarantine (
  hash bytea primary key check (length(hash) = 32),
  gateway_id integer not null,
  boot uuid,
  seq bigint,
  reason text not null,
  encoded bytea not null,
  received_at timestamptz not null default now()
);

-- Append only; tenant 0 holds calls that reached no tenant. Rows move on to
-- usage_hour. gen is the closing generation of the period they came in.
create table usage_line (
  tenant_id integer not null,
  hour timestamptz not null,
  stage_num integer not null,
  method_num integer not null,
  subscription_id bigint not null,
  key_num integer not null,
  terms integer not null,
  status integer not null,
  flags integer not null,
  gen integer not null default 0,
  calls bigint not null check (calls > 0),
  bytes_in bigint not null check (bytes_in >= 0),
  bytes_out bigint not null check (bytes_out >= 0),
  micros bigint not null check (micros >= 0),
  boot uuid not null,
  seq bigint not null
) partition by range (hour);
create table usage_line_default partition of usage_line default;
create index usage_line_tenant on usage_line (tenant_id, hour);
create index usage_line_hour on usage_line (hour);

create table usage_hour (
  tenant_id integer not null,
  hour timestamptz not null,
  stage_num integer not null,
  method_num integer not null,
  subscription_id bigint not null,
  key_num integer not null,
  terms integer not null,
  status integer not null,
  flags integer not null,
  gen integer not null,
  calls numeric(38,0) not null,
  bytes_in numeric(38,0) not null,
  bytes_out numeric(38,0) not null,
  micros numeric(38,0) not null,
  primary key (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen)
) partition by range (hour);
create table usage_hour_default partition of usage_hour default;

-- Puts the tenant's fence around a usage table; partitions need it themselves.
create function usage_fence(t regclass) returns void language plpgsql as $$
begin
  execute format('alter table %s enable row level security', t);
  execute format('alter table %s force row level security', t);
  execute format($policy$create policy tenant_only on %s using (
    tenant_id::text = current_setting('tollgate.tenant', true) or current_setting('tollgate.tenant', true) = '*')$policy$, t);
end $$;

do $$
begin
  perform usage_fence(t::regclass)
    from unnest(array['usage_line', 'usage_line_default', 'usage_hour', 'usage_hour_default']) t;
end $$;
