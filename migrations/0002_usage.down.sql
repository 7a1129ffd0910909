drop table usage_hour, usage_line, usage_quarantine, usage_batch, usage_boot;
drop function usage_fence(regclass);
