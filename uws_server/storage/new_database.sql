CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE results (
	id VARCHAR(32) NOT NULL,
	job_id VARCHAR(32) NOT NULL,
	position INTEGER NOT NULL,
	name VARCHAR(128) NOT NULL,
	file TEXT NOT NULL,
	mime VARCHAR(128) NOT NULL,
	size BIGINT NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	description TEXT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE INDEX ix_results_job_id ON results (job_id);
CREATE TABLE "jobs" (
	id VARCHAR(32) NOT NULL,
	definition VARCHAR(64) NOT NULL,
	version VARCHAR(64) NOT NULL,
	phase VARCHAR(16) NOT NULL,
	owner VARCHAR(128) DEFAULT '' NOT NULL,
	run_id TEXT,
	created BIGINT NOT NULL,
	queued BIGINT,
	started BIGINT,
	ended BIGINT,
	execution_duration INTEGER NOT NULL,
	destruction BIGINT,
	quote BIGINT,
	error TEXT,
	error_fatal BOOLEAN,
	parameters TEXT NOT NULL,
	share VARCHAR(32),
	size BIGINT DEFAULT '0' NOT NULL,
	server VARCHAR(64),
	abort_asked BOOLEAN DEFAULT 0 NOT NULL, revision VARCHAR(64) DEFAULT '' NOT NULL, trial BOOLEAN DEFAULT 0 NOT NULL, forgotten BOOLEAN DEFAULT 0 NOT NULL, parent VARCHAR(32), "after" VARCHAR(32), has_products BOOLEAN DEFAULT 0 NOT NULL, suspended BIGINT, stood_still BIGINT DEFAULT '0' NOT NULL, warning TEXT, cpu_s FLOAT, memory BIGINT, cores INTEGER DEFAULT '1' NOT NULL, needed_memory BIGINT DEFAULT '0' NOT NULL, short BOOLEAN DEFAULT 0 NOT NULL, input_size BIGINT DEFAULT '0' NOT NULL, expected_s INTEGER, resume_asked BIGINT, parts INTEGER, parts_failed INTEGER, width INTEGER DEFAULT '1' NOT NULL, wanted INTEGER DEFAULT '0' NOT NULL, target TEXT DEFAULT '' NOT NULL, target_key TEXT DEFAULT '' NOT NULL, run_key TEXT DEFAULT '' NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX jobs_listed ON jobs (definition, created, id) WHERE phase != 'ARCHIVED';
CREATE INDEX jobs_by_phase ON jobs (definition, phase, created, id);
CREATE INDEX jobs_of_owner_listed ON jobs (definition, owner, created, id) WHERE phase != 'ARCHIVED';
CREATE INDEX jobs_of_owner_by_phase ON jobs (definition, owner, phase, created, id);
CREATE INDEX jobs_busy ON jobs (phase, queued) WHERE phase IN ('EXECUTING', 'QUEUED', 'SUSPENDED', 'UNKNOWN');
CREATE INDEX jobs_of_owner_busy ON jobs (owner) WHERE phase IN ('EXECUTING', 'QUEUED', 'SUSPENDED', 'UNKNOWN');
CREATE INDEX jobs_by_destruction ON jobs (destruction) WHERE phase != 'ARCHIVED';
CREATE TABLE stored (
	owner VARCHAR(128) NOT NULL,
	bytes BIGINT NOT NULL,
	PRIMARY KEY (owner)
);
CREATE TABLE accounts (
	name VARCHAR(64) NOT NULL,
	token_hash TEXT NOT NULL,
	is_admin BOOLEAN NOT NULL,
	disabled BOOLEAN NOT NULL,
	created BIGINT NOT NULL,
	max_active INTEGER,
	max_bytes BIGINT, roles TEXT DEFAULT '' NOT NULL, max_running INTEGER, full_name TEXT DEFAULT '' NOT NULL, email TEXT DEFAULT '' NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE servers (
	id VARCHAR(64) NOT NULL,
	host VARCHAR(255) NOT NULL,
	place VARCHAR(128) NOT NULL,
	pid INTEGER NOT NULL,
	start VARCHAR(32) NOT NULL,
	seen BIGINT NOT NULL, places INTEGER DEFAULT '1' NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE changes (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	job_id VARCHAR(32) NOT NULL,
	what VARCHAR(16) NOT NULL,
	server VARCHAR(64) NOT NULL
);
CREATE TRIGGER jobs_size_added AFTER INSERT ON jobs WHEN NEW.size <> 0
    BEGIN INSERT INTO stored (owner, bytes) VALUES (NEW.owner, NEW.size)
    ON CONFLICT (owner) DO UPDATE SET bytes = stored.bytes + excluded.bytes; END;
CREATE TRIGGER jobs_size_changed AFTER UPDATE OF size ON jobs WHEN NEW.size <> OLD.size
    BEGIN INSERT INTO stored (owner, bytes) VALUES (NEW.owner, NEW.size - OLD.size)
    ON CONFLICT (owner) DO UPDATE SET bytes = stored.bytes + excluded.bytes; END;
CREATE TRIGGER jobs_size_removed AFTER DELETE ON jobs WHEN OLD.size <> 0 BEGIN UPDATE stored SET bytes = bytes - OLD.size WHERE owner = OLD.owner; END;
CREATE INDEX jobs_by_parent ON jobs (parent) WHERE parent IS NOT NULL;
CREATE INDEX jobs_by_after ON jobs ("after") WHERE "after" IS NOT NULL;
CREATE TABLE definitions (
	name VARCHAR(64) NOT NULL,
	revision VARCHAR(64) NOT NULL,
	source VARCHAR(16) NOT NULL,
	removed BOOLEAN DEFAULT 0 NOT NULL,
	folder VARCHAR(64) DEFAULT '' NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE drafts (
	name VARCHAR(64) NOT NULL,
	edit INTEGER NOT NULL,
	state VARCHAR(16) NOT NULL,
	author VARCHAR(64) NOT NULL,
	updated BIGINT NOT NULL,
	based_on VARCHAR(64) DEFAULT '' NOT NULL,
	files TEXT NOT NULL,
	trial VARCHAR(32),
	tried INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE definition_history (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	name VARCHAR(64) NOT NULL,
	revision VARCHAR(64) NOT NULL,
	action VARCHAR(16) NOT NULL,
	who VARCHAR(64) NOT NULL,
	made BIGINT NOT NULL,
	why TEXT NOT NULL,
	edit INTEGER DEFAULT '0' NOT NULL
);
CREATE INDEX ix_definition_history_name ON definition_history (name);
CREATE TABLE uses (
	job_id VARCHAR(32) NOT NULL,
	position INTEGER NOT NULL,
	name VARCHAR(64) NOT NULL,
	text TEXT NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	result_id VARCHAR(32),
	PRIMARY KEY (job_id, position),
	FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE INDEX ix_uses_sha256 ON uses (sha256);
CREATE INDEX ix_results_sha256 ON results (sha256);
CREATE INDEX ix_uses_result_id ON uses (result_id);
CREATE TABLE obscore_rows (
	result_id VARCHAR(32) NOT NULL,
	size BIGINT NOT NULL,
	changed BIGINT NOT NULL,
	"row" TEXT NOT NULL,
	PRIMARY KEY (result_id),
	FOREIGN KEY(result_id) REFERENCES results (id) ON DELETE CASCADE
);
CREATE TABLE tokens (
	id VARCHAR(16) NOT NULL,
	account VARCHAR(64) NOT NULL,
	name VARCHAR(64) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	created BIGINT NOT NULL,
	used BIGINT,
	PRIMARY KEY (id),
	FOREIGN KEY(account) REFERENCES accounts (name) ON DELETE CASCADE
);
CREATE INDEX ix_tokens_account ON tokens (account);
CREATE UNIQUE INDEX ix_tokens_digest ON tokens (digest);
CREATE INDEX jobs_with_products ON jobs (created, id) WHERE has_products IS 1 AND phase != 'ARCHIVED';
CREATE INDEX jobs_of_owner_with_products ON jobs (owner, created, id) WHERE has_products IS 1 AND phase != 'ARCHIVED';
CREATE TRIGGER results_product AFTER INSERT ON results WHEN NEW.mime LIKE '%fits%'
    BEGIN UPDATE jobs SET has_products = TRUE WHERE has_products = FALSE AND id = NEW.job_id; END;
CREATE TRIGGER obscore_rows_product AFTER INSERT ON obscore_rows
    BEGIN UPDATE jobs SET has_products = TRUE WHERE has_products = FALSE AND id = (SELECT job_id FROM results WHERE id = NEW.result_id); END;
CREATE TABLE clock (
	id INTEGER NOT NULL,
	seen BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE drain (
	id INTEGER NOT NULL,
	since BIGINT NOT NULL,
	who VARCHAR(64) NOT NULL,
	why TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX jobs_taken ON jobs (phase, server) WHERE phase IN ('EXECUTING', 'SUSPENDED', 'UNKNOWN');
CREATE TABLE durations (
	definition VARCHAR(64) NOT NULL,
	revision VARCHAR(64) NOT NULL,
	updated BIGINT NOT NULL,
	samples TEXT NOT NULL,
	PRIMARY KEY (definition, revision)
);
CREATE TABLE turns (
	owner VARCHAR(128) NOT NULL,
	served BIGINT NOT NULL,
	PRIMARY KEY (owner)
);
CREATE TABLE parts (
	job_id VARCHAR(32) NOT NULL,
	number INTEGER NOT NULL,
	text TEXT NOT NULL,
	phase VARCHAR(16) NOT NULL,
	started BIGINT,
	ended BIGINT,
	sentence TEXT NOT NULL,
	stage TEXT NOT NULL,
	PRIMARY KEY (job_id, number),
	FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE owner_secrets (
	owner VARCHAR(64) NOT NULL,
	name VARCHAR(64) NOT NULL,
	value TEXT NOT NULL,
	changed BIGINT NOT NULL,
	PRIMARY KEY (owner, name),
	FOREIGN KEY(owner) REFERENCES accounts (name) ON DELETE CASCADE
);
CREATE INDEX jobs_on_cluster ON jobs (server) WHERE phase = 'QUEUED' AND server IS NOT NULL;
CREATE INDEX jobs_queue ON jobs (owner, definition, short, queued, id) WHERE phase = 'QUEUED' AND server IS NULL;
CREATE TABLE archive_files (
	"key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	source TEXT NOT NULL,
	size BIGINT NOT NULL,
	changed BIGINT NOT NULL,
	kind VARCHAR(16) NOT NULL,
	collection VARCHAR(64) NOT NULL,
	obs_id VARCHAR(64) NOT NULL,
	instrument VARCHAR(32) NOT NULL,
	exposure VARCHAR(32) NOT NULL,
	filter VARCHAR(32) NOT NULL,
	mode VARCHAR(64) NOT NULL,
	target TEXT NOT NULL,
	observer TEXT NOT NULL,
	ra FLOAT,
	dec FLOAT,
	t_min FLOAT,
	t_max FLOAT,
	exposure_s FLOAT,
	footprint BLOB NOT NULL,
	"row" TEXT NOT NULL,
	note TEXT NOT NULL,
	UNIQUE (source)
);
CREATE INDEX ix_archive_files_obs_id ON archive_files (obs_id);
CREATE TABLE work_sessions (
	id VARCHAR(32) NOT NULL,
	owner VARCHAR(128) NOT NULL,
	created BIGINT NOT NULL,
	changed BIGINT NOT NULL,
	used BIGINT NOT NULL,
	revision INTEGER NOT NULL,
	share VARCHAR(32),
	definition VARCHAR(64) NOT NULL,
	selected INTEGER NOT NULL,
	name TEXT NOT NULL,
	source TEXT NOT NULL,
	background TEXT NOT NULL,
	search TEXT NOT NULL,
	note TEXT NOT NULL,
	exposures TEXT NOT NULL,
	parameters TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX ix_work_sessions_owner ON work_sessions (owner);
CREATE TABLE work_session_jobs (
	session_id VARCHAR(32) NOT NULL,
	job_id VARCHAR(32) NOT NULL,
	position INTEGER NOT NULL,
	via VARCHAR(32) NOT NULL,
	via_share VARCHAR(32) NOT NULL,
	PRIMARY KEY (session_id, job_id),
	FOREIGN KEY(session_id) REFERENCES work_sessions (id) ON DELETE CASCADE
);
CREATE TABLE identities (
	id VARCHAR(16) NOT NULL,
	issuer TEXT NOT NULL,
	subject TEXT NOT NULL,
	account VARCHAR(64) NOT NULL,
	label TEXT NOT NULL,
	created BIGINT NOT NULL,
	used BIGINT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(account) REFERENCES accounts (name) ON DELETE CASCADE
);
CREATE INDEX ix_identities_account ON identities (account);
CREATE UNIQUE INDEX ix_identities_person ON identities (issuer, subject);
CREATE TABLE sessions (
	digest VARCHAR(64) NOT NULL,
	token_id VARCHAR(16),
	identity_id VARCHAR(16),
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	PRIMARY KEY (digest),
	FOREIGN KEY(token_id) REFERENCES tokens (id) ON DELETE CASCADE,
	FOREIGN KEY(identity_id) REFERENCES identities (id) ON DELETE CASCADE
);
CREATE INDEX ix_sessions_token_id ON sessions (token_id);
CREATE INDEX ix_sessions_identity_id ON sessions (identity_id);
CREATE TABLE announcements (
	id VARCHAR(16) NOT NULL,
	text TEXT NOT NULL,
	starts BIGINT NOT NULL,
	ends BIGINT,
	author VARCHAR(64) NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE audit (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	moment BIGINT NOT NULL,
	who VARCHAR(64) NOT NULL,
	subject VARCHAR(64) NOT NULL,
	what TEXT NOT NULL
);
CREATE TRIGGER obscore_rows_target AFTER INSERT ON obscore_rows WHEN NEW.row != ''
    BEGIN UPDATE jobs SET target = json_extract(NEW.row, '$.target_name'), target_key = lower(replace(json_extract(NEW.row, '$.target_name'), ' ', '')) WHERE target = '' AND json_extract(NEW.row, '$.target_name') > '' AND id = (SELECT job_id FROM results WHERE id = NEW.result_id); END;
CREATE INDEX jobs_by_run_key ON jobs (run_key, created, id) WHERE run_key != '';
CREATE INDEX jobs_by_target_key ON jobs (target_key, created, id) WHERE target_key != '';
CREATE INDEX ix_archive_files_search ON archive_files (kind, obs_id, instrument, exposure, filter, mode, target, observer, collection, ra, dec, t_min, t_max, exposure_s);
CREATE TABLE tap_obscore (
	uws_key INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	uws_owner VARCHAR(128) NOT NULL,
	uws_result VARCHAR(32),
	uws_archive INTEGER,
	uws_place TEXT NOT NULL,
	uws_did TEXT NOT NULL,
	dataproduct_type TEXT,
	dataproduct_subtype TEXT,
	target_name TEXT,
	target_class TEXT,
	obs_id TEXT,
	obs_title TEXT,
	obs_collection TEXT,
	obs_creation_date TEXT,
	obs_creator_name TEXT,
	obs_creator_did TEXT,
	obs_release_date TEXT,
	obs_publisher_did TEXT,
	publisher_id TEXT,
	bib_reference TEXT,
	data_rights TEXT,
	access_format TEXT,
	s_region TEXT,
	s_ucd TEXT,
	s_unit TEXT,
	s_calib_status TEXT,
	t_calib_status TEXT,
	em_ucd TEXT,
	em_unit TEXT,
	em_calib_status TEXT,
	o_ucd TEXT,
	o_unit TEXT,
	o_calib_status TEXT,
	pol_states TEXT,
	facility_name TEXT,
	instrument_name TEXT,
	proposal_id TEXT,
	obs_mode TEXT,
	analysis_mode TEXT,
	event_type TEXT,
	t_intervals TEXT,
	calib_level BIGINT,
	access_estsize BIGINT,
	s_xel1 BIGINT,
	s_xel2 BIGINT,
	t_xel BIGINT,
	em_xel BIGINT,
	pol_xel BIGINT,
	ev_xel BIGINT,
	s_ra DOUBLE,
	s_dec DOUBLE,
	s_fov DOUBLE,
	s_resolution DOUBLE,
	s_resolution_min DOUBLE,
	s_resolution_max DOUBLE,
	s_stat_error DOUBLE,
	s_pixel_scale DOUBLE,
	t_min DOUBLE,
	t_max DOUBLE,
	t_exptime DOUBLE,
	t_resolution DOUBLE,
	t_stat_error DOUBLE,
	em_min DOUBLE,
	em_max DOUBLE,
	em_res_power DOUBLE,
	em_res_power_min DOUBLE,
	em_res_power_max DOUBLE,
	em_resolution DOUBLE,
	em_stat_error DOUBLE,
	o_stat_error DOUBLE,
	energy_min DOUBLE,
	energy_max DOUBLE, uws_region_ra DOUBLE, uws_region_dec DOUBLE, uws_region_radius DOUBLE, uws_region_size INTEGER, uws_zone INTEGER,
	FOREIGN KEY(uws_result) REFERENCES results (id) ON DELETE CASCADE,
	FOREIGN KEY(uws_archive) REFERENCES archive_files ("key") ON DELETE CASCADE
);
CREATE INDEX ix_tap_obscore_sky ON tap_obscore (s_dec, s_ra);
CREATE INDEX ix_tap_obscore_time ON tap_obscore (t_min, t_max);
CREATE INDEX ix_tap_obscore_obs_id ON tap_obscore (obs_id);
CREATE INDEX ix_tap_obscore_target ON tap_obscore (target_name);
CREATE INDEX ix_tap_obscore_uws_result ON tap_obscore (uws_result);
CREATE INDEX ix_tap_obscore_uws_archive ON tap_obscore (uws_archive);
CREATE TABLE tap_schemas (
	schema_name VARCHAR(64) NOT NULL,
	utype TEXT,
	description TEXT,
	schema_index INTEGER,
	loaded BOOLEAN NOT NULL,
	PRIMARY KEY (schema_name)
);
CREATE TABLE tap_tables (
	table_name VARCHAR(129) NOT NULL,
	schema_name VARCHAR(64) NOT NULL,
	table_type VARCHAR(8) NOT NULL,
	utype TEXT,
	description TEXT,
	table_index INTEGER,
	loaded BOOLEAN NOT NULL,
	sql_name VARCHAR(64) NOT NULL,
	rows BIGINT,
	PRIMARY KEY (table_name)
);
CREATE TABLE tap_columns (
	table_name VARCHAR(129) NOT NULL,
	column_name VARCHAR(130) NOT NULL,
	datatype VARCHAR(32) NOT NULL,
	arraysize VARCHAR(32),
	xtype VARCHAR(32),
	size INTEGER,
	description TEXT,
	utype TEXT,
	unit TEXT,
	ucd TEXT,
	"indexed" INTEGER NOT NULL,
	principal INTEGER NOT NULL,
	std INTEGER NOT NULL,
	column_index INTEGER,
	loaded BOOLEAN NOT NULL,
	sql_name VARCHAR(64) NOT NULL,
	PRIMARY KEY (table_name, column_name)
);
CREATE TABLE tap_keys (
	key_id VARCHAR(64) NOT NULL,
	from_table VARCHAR(129) NOT NULL,
	target_table VARCHAR(129) NOT NULL,
	utype TEXT,
	description TEXT,
	PRIMARY KEY (key_id)
);
CREATE TABLE tap_key_columns (
	key_id VARCHAR(64) NOT NULL,
	from_column VARCHAR(130) NOT NULL,
	target_column VARCHAR(130) NOT NULL,
	PRIMARY KEY (key_id, from_column, target_column)
);
CREATE INDEX ix_tap_obscore_region ON tap_obscore (uws_region_size, uws_region_dec, uws_region_ra);
CREATE INDEX ix_tap_obscore_did ON tap_obscore (uws_did);
CREATE INDEX ix_tap_obscore_place ON tap_obscore (uws_place);
CREATE INDEX ix_tap_obscore_publisher_did ON tap_obscore (obs_publisher_did);
CREATE INDEX ix_tap_obscore_zone ON tap_obscore (uws_zone, s_ra);
