drop table vpc_link;
drop table client_certificate;
drop table account_settings;
drop table documentation_version;
