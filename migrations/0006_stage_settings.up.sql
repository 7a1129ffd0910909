select set_config('tollgate.tenant', '*', true);

-- What a stage decides by itself, as one document. The column throttle is what its
-- methodSettings say of every method; only programs before this one read it.
alter table stage add column settings jsonb not null default '{}';
update stage set settings = jsonb_build_object('methodSettings', jsonb_build_object('*/*', jsonb_build_object(
    'metricsEnabled', false, 'dataTraceEnabled', false, 'throttlingRateLimit', throttle->'rateLimit', 'throttlingBurstLimit', throttle->'burstLimit',
    'cachingEnabled', false, 'cacheTtlInSeconds', 300, 'cacheDataEncrypted', false, 'requireAuthorizationForCacheControl', true,
    'unauthorizedCacheControlHeaderStrategy', 'SUCCEED_WITH_RESPONSE_HEADER')))
  where throttle is not null and jsonb_typeof(throttle) = 'object';

-- The deployment that a stage's canary serves cannot be deleted either.
alter table stage add column canary_deployment_id text generated always as (settings #>> '{canarySettings,deploymentId}') stored;
alter table stage add foreign key (tenant_id, api_id, canary_deployment_id) references deployment (tenant_id, api_id, deployment_id);

-- Of a deployment nothing but its description is ever changed.
create or replace function deployment_is_immutable() returns trigger language plpgsql as $$
begin
  if to_jsonb(old) - 'description' is distinct from to_jsonb(new) - 'description' then
    raise exception 'a deployment is never changed';
  end if;
  return new;
end $$;
