alter table gateway drop constraint gateway_tenant_fkey;
drop table node, node_token, feed_change, feed_head, audit, quota_lease, quota_window, subscription, api_key,
  plan_stage, plan, stage_deployment, stage, deployment, api_method, api_source, api, access_key, member, tenant, gateway;
drop function deployment_is_immutable();
