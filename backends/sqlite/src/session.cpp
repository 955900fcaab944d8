#include "session.h"

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "errors.h"

namespace stele::sqlite {
namespace {

using std::chrono::steady_clock;

/// SQLite's URI form: every byte that could mean something there, or to SOCI's parser, is percent-encoded.
std::string open_uri(const Settings& settings) {
  if (settings.in_memory()) return ":memory:";
  static constexpr char digits[] = "0123456789ABCDEF";
  // With an empty authority, so that two slashes at a path's beginning do not make its first folder a host.
  std::string uri = settings.path.starts_with('/') ? "file://" : "file:";
  for (const char c : settings.path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '/' ||
                       c == '.' || c == '-' || c == '_';
    if (plain) {
      uri += c;
    } else {
      uri += '%';
      uri += digits[byte >> 4];
      uri += digits[byte & 15];
    }
  }
  return uri + (settings.create ? "?mode=rwc" : "?mode=rw");
}

std::string checked_uri(const Settings& settings) {
  if (settings.in_memory()) return open_uri(settings);
  if (sqlite3_compileoption_used("USE_URI") == 0) {
    throw make_error(ErrorCode::unsupported, "this SQLite library was built without URI file names (SQLITE_USE_URI)");
  }
  std::error_code ignored;
  if (!settings.create && !std::filesystem::exists(settings.path, ignored)) {
    throw make_error(ErrorCode::cannot_connect,
                     "there is no database file '" + settings.path + "'; `migrate up` creates it");
  }
  if (std::filesystem::is_directory(settings.path, ignored)) {
    throw make_error(ErrorCode::cannot_connect, "'" + settings.path + "' is a directory");
  }
  return open_uri(settings);
}

void execute(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) throw_error(db, "open");
}

}  // namespace

Session::Session(const Settings& settings, Role role)
    : in_memory_(settings.in_memory()),
      busy_timeout_(settings.busy_timeout),
      deadline_(steady_clock::now() + settings.busy_timeout),
      connection_(checked_uri(settings)),
      names_(*this),
      synchronous_(settings.synchronous) {
  sqlite3* db = handle();
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_handler(db, &Session::wait_for_lock, this);
  execute(db, "PRAGMA foreign_keys = ON");
  // Without it, each statement that a trigger could abort copies the pages it changes to a temporary file.
  execute(db, "PRAGMA temp_store = MEMORY");
  execute(db, role == Role::writer ? "PRAGMA cache_size = -16000" : "PRAGMA cache_size = -8000");
  if (role == Role::writer) {
    if (!settings.in_memory()) {
      switch_to_wal();
    }
    execute(db, ("PRAGMA synchronous = " + settings.synchronous).c_str());
  } else {
    execute(db, "PRAGMA query_only = ON");
  }
}

// Switching needs the file for a moment alone, and SQLite does not always call the busy handler for it. Where WAL is
// not possible, such as on a network share, SQLite says nothing and keeps the old mode.
void Session::switch_to_wal() {
  for (;;) {
    try {
      Statement query(handle(), "PRAGMA journal_mode = WAL", false);
      if (query.step() && query.text(0) == "wal") return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::busy || wait_for_lock(this, 10) == 0) throw;
      continue;
    }
    throw make_error(ErrorCode::unsupported, "the database file cannot be used in WAL mode; is it on a network share?");
  }
}

// SQLite's own busy timeout sleeps up to 100 ms at a time; a writer is usually done in a fraction of that.
int Session::wait_for_lock(void* session, int tries) {
  const auto left = static_cast<Session*>(session)->deadline_ - steady_clock::now();
  if (left <= steady_clock::duration::zero()) return 0;
  const auto pause = std::chrono::microseconds(std::min(100 * (tries + 1), 5000));
  std::this_thread::sleep_for(std::min<steady_clock::duration>(pause, left));
  return 1;
}

Use Session::use(std::string_view sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return Use(found->second);
  return Use(statements_.emplace(std::string(sql), Statement(handle(), sql)).first->second);
}

bool Session::usable() const noexcept {
  // Without its one session a database in memory is gone.
  return in_memory_ || (sqlite3_get_autocommit(handle()) != 0 && !damaged_);
}

void Session::reset_statements() noexcept {
  for (sqlite3_stmt* statement = sqlite3_next_stmt(handle(), nullptr); statement != nullptr;
       statement = sqlite3_next_stmt(handle(), statement)) {
    if (sqlite3_stmt_busy(statement) != 0) sqlite3_reset(statement);
  }
}

void Session::notice_schema_change() {
  const Use query = use("PRAGMA schema_version");
  query->step();
  const std::int64_t version = query->int64(0);
  if (version == schema_version_) return;
  schema_version_ = version;
  names_.forget();
}

void Session::sync() {
  if (in_memory_ || synchronous_ == "NORMAL") return;
  // The write-ahead log. A synchronous=FULL commit does the same behind its last frame.
  sqlite3_file* log = nullptr;
  sqlite3_file_control(handle(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (log == nullptr || log->pMethods == nullptr) return;
  const int code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  if (code != SQLITE_OK) throw make_error(code, "commit", Outcome::unknown);
}

RelaxedDurability::RelaxedDurability(Session& session) : session_(session), needed_(!session.in_memory_) {
  // Not as a statement that is kept: this one acts when it is prepared.
  if (needed_) execute(session_.handle(), "PRAGMA synchronous = NORMAL");
}

RelaxedDurability::~RelaxedDurability() {
  if (!needed_) return;
  const std::string restore = "PRAGMA synchronous = " + session_.synchronous_;
  if (sqlite3_exec(session_.handle(), restore.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    session_.damaged_ = true;  // Its pool drops it: an append through it could be lost.
  }
}

Transaction::Transaction(Session& session, Kind kind) : session_(session), kind_(kind) {
  session_.use(kind == Kind::write ? "BEGIN IMMEDIATE" : "BEGIN")->step();
  try {
    session_.notice_schema_change();
  } catch (...) {
    session_.use("ROLLBACK")->step();
    throw;
  }
}

Transaction::~Transaction() {
  if (!open_) return;
  // A failed statement may have ended the transaction already.
  if (sqlite3_get_autocommit(session_.handle()) == 0) {
    try {
      session_.use(kind_ == Kind::read ? "COMMIT" : "ROLLBACK")->step();
    } catch (const Error&) {  // Still open: the session is not usable() and its pool drops it.
    }
  }
  if (kind_ == Kind::write) session_.names().forget();
}

void Transaction::commit() {
  const Use commit = session_.use("COMMIT");
  try {
    commit->step();
  } catch (const Error& error) {
    // Busy and full are refused before the commit record is written. After any other failure it may be in the file, and
    // a restart may find it there.
    const int code = error.native_code();
    const bool certain = (code & 0xFF) == SQLITE_BUSY || (code & 0xFF) == SQLITE_FULL;
    throw make_error(code, "commit", certain ? Outcome::not_applied : Outcome::unknown);
  }
  open_ = false;
}

}  // namespace stele::sqlite
