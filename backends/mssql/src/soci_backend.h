// SOCI's ODBC backend for handlers of read models, with their texts as Unicode.
#pragma once

#include <soci/odbc/soci-odbc.h>
#include <soci/soci.h>

#include <memory>
#include <string>

namespace stele::mssql {

/// As SOCI's own, which it calls, but for two things: texts that are bound are UTF-8, and go to the server as NVARCHAR
/// instead of VARCHAR, which knows a few hundred characters; and a statement's text goes there as Unicode, with its
/// parameters found as T-SQL is read, comments, names in brackets and temporary tables included. Vectors of texts are
/// bound as SOCI does it.
class SociBackend final : public soci::details::session_backend {
 public:
  /// Connects. Throws odbc_soci_error.
  explicit SociBackend(const std::string& connection);

  void* handle() const noexcept { return inner_->hdbc_; }
  bool is_freetds() const noexcept { return freetds_; }

  bool is_connected() override { return inner_->is_connected(); }
  void begin() override { inner_->begin(); }
  void commit() override { inner_->commit(); }
  void rollback() override { inner_->rollback(); }
  bool get_last_insert_id(soci::session& session, const std::string& table, long long& value) override {
    return inner_->get_last_insert_id(session, table, value);
  }
  std::string get_dummy_from_table() const override { return inner_->get_dummy_from_table(); }
  std::string get_backend_name() const override { return inner_->get_backend_name(); }
  soci::details::statement_backend* make_statement_backend() override;
  soci::details::rowid_backend* make_rowid_backend() override { return inner_->make_rowid_backend(); }
  soci::details::blob_backend* make_blob_backend() override { return inner_->make_blob_backend(); }

 private:
  std::unique_ptr<soci::odbc_session_backend> inner_;
  bool freetds_ = false;
};

/// `query` with ? for its parameters, whose names are appended, each as often as it occurs.
std::string with_question_marks(const std::string& query, std::vector<std::string>& names);

}  // namespace stele::mssql
