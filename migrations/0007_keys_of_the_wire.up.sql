select set_config('tollgate.tenant', '*', true);

-- What Amazon's wire says of a key beyond its name. A value is kept, sealed with the
-- installation's secret, only for keys whose maker reads it again later.
alter table api_key add column description text not null default '';
alter table api_key add column customer_id text not null default '';
alter table api_key add column stage_keys text[] not null default '{}';
alter table api_key add column sealed bytea;
alter table api_key add column updated_at timestamptz not null default now();
update api_key set updated_at = created_at;
create index api_key_newest on api_key (tenant_id, key_num desc) where deleted_at is null;

alter table plan add column product_code text not null default '';

-- Units that were added to one window of a quota, or taken from it.
alter table quota_window add column extension bigint not null default 0;
