-- Usage lines go in by COPY, which is refused where row-level security binds: this table
-- around usage_line is their way in. By it nothing can be read, changed or removed, not even by
-- its owner, and only who sees all tenants can add; its own row-level security, which the
-- owner passes, refuses it to whoever else was granted everything. What is in it is read
-- from usage_line, behind that table's fence.
create table usage_intake (
  tenant_id integer,
  hour timestamptz,
  stage_num integer,
  method_num integer,
  subscription_id bigint,
  key_num integer,
  terms integer,
  status integer,
  flags integer,
  gen integer,
  calls bigint,
  bytes_in bigint,
  bytes_out bigint,
  micros bigint,
  boot uuid,
  seq bigint
) partition by range (hour);
alter table usage_intake attach partition usage_line for values from (minvalue) to (maxvalue);
alter table usage_intake enable row level security;
create function usage_intake_fence() returns trigger language plpgsql as $$
begin
  if current_setting('tollgate.tenant', true) is distinct from '*' then
    raise exception 'usage of all tenants goes in by usage_intake: tollgate.tenant must be *' using errcode = 'insufficient_privilege';
  end if;
  return null;
end $$;
create trigger fence before insert on usage_intake execute function usage_intake_fence();
revoke all on usage_intake from current_user;
grant insert on usage_intake to current_user;

-- Lines come in the order of their hours, near enough: whoever asks for hours of all
-- tenants reads most of what is there, or what lies together.
drop index usage_line_hour;
create index usage_line_hour on usage_line using brin (hour);
