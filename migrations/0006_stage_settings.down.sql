create or replace function deployment_is_immutable() returns trigger language plpgsql as $$
begin
  raise exception 'a deployment is never changed';
end $$;
alter table stage drop column canary_deployment_id;
alter table stage drop column settings;
