#include "soci_backend.h"

#include <soci/type-wrappers.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "settings.h"
#include "statement.h"
#include "utf16.h"

namespace stele::mssql {
namespace {

using soci::details::exchange_type;

constexpr std::size_t short_units = 4000;  // NVARCHAR(4000)

/// One parameter.
class Use final : public soci::details::standard_use_type_backend {
 public:
  Use(soci::odbc_statement_backend& statement, bool freetds)
      : statement_(statement), freetds_(freetds), inner_(statement.make_use_type_backend()) {}

  void bind_by_pos(int& position, void* data, exchange_type type, bool read_only) override {
    inner_->bind_by_pos(position, data, type, read_only);
  }
  void bind_by_name(const std::string& name, void* data, exchange_type type, bool read_only) override {
    inner_->bind_by_name(name, data, type, read_only);
  }
  void pre_use(const soci::indicator* indicator) override {
    const std::string* value = text();
    if (value == nullptr || (indicator != nullptr && *indicator == soci::i_null)) {
      inner_->pre_use(indicator);
      return;
    }
    units_ = to_utf16(*value);
    const std::size_t bytes = units_.size() * sizeof(char16_t);
    size_ = static_cast<SQLLEN>(bytes);
    const bool is_short = units_.size() <= short_units;
    const auto long_type = static_cast<SQLSMALLINT>(freetds_ ? SQL_WLONGVARCHAR : SQL_WVARCHAR);  // As in Statement.
    const SQLRETURN result =
        SQLBindParameter(statement_.hstmt_, static_cast<SQLUSMALLINT>(inner_->position_), SQL_PARAM_INPUT, SQL_C_WCHAR,
                         is_short ? static_cast<SQLSMALLINT>(SQL_WVARCHAR) : long_type, is_short ? short_units : 0, 0,
                         units_.data(), static_cast<SQLLEN>(bytes), &size_);
    if (soci::is_odbc_error(result)) {
      throw soci::odbc_soci_error(SQL_HANDLE_STMT, statement_.hstmt_, "binding input parameter");
    }
  }
  void post_use(bool got_data, soci::indicator* indicator) override {
    if (text() == nullptr) inner_->post_use(got_data, indicator);  // A text is never changed.
  }
  void clean_up() override { inner_->clean_up(); }

 private:
  const std::string* text() const {
    switch (inner_->type_) {
      case soci::details::x_stdstring: return static_cast<const std::string*>(inner_->data_);
      case soci::details::x_longstring: return &static_cast<const soci::long_string*>(inner_->data_)->value;
      case soci::details::x_xmltype: return &static_cast<const soci::xml_type*>(inner_->data_)->value;
      default: return nullptr;
    }
  }

  soci::odbc_statement_backend& statement_;
  const bool freetds_;
  const std::unique_ptr<soci::odbc_standard_use_type_backend> inner_;
  std::u16string units_;
  SQLLEN size_ = 0;
};

class SociStatement final : public soci::details::statement_backend {
 public:
  SociStatement(soci::odbc_session_backend& session, bool freetds)
      : inner_(session.make_statement_backend()), freetds_(freetds) {}

  void alloc() override { inner_->alloc(); }
  void clean_up() override { inner_->clean_up(); }
  void prepare(const std::string& query, soci::details::statement_type /*type*/) override {
    inner_->names_.clear();
    inner_->intos_.clear();
    inner_->query_ = with_question_marks(query, inner_->names_);
    std::u16string text = to_utf16(inner_->query_);
    if (soci::is_odbc_error(SQLPrepareW(inner_->hstmt_, reinterpret_cast<SQLWCHAR*>(text.data()),
                                        static_cast<SQLINTEGER>(text.size())))) {
      throw soci::odbc_soci_error(SQL_HANDLE_STMT, inner_->hstmt_, "preparing the statement");
    }
  }
  exec_fetch_result execute(int number) override { return inner_->execute(number); }
  exec_fetch_result fetch(int number) override { return inner_->fetch(number); }
  long long get_affected_rows() override { return inner_->get_affected_rows(); }
  int get_number_of_rows() override { return inner_->get_number_of_rows(); }
  std::string get_parameter_name(int index) const override { return inner_->get_parameter_name(index); }
  std::string rewrite_for_procedure_call(const std::string& query) override {
    return inner_->rewrite_for_procedure_call(query);
  }
  int prepare_for_describe() override { return inner_->prepare_for_describe(); }
  void describe_column(int column, soci::data_type& type, std::string& name) override {
    inner_->describe_column(column, type, name);
  }
  soci::details::standard_into_type_backend* make_into_type_backend() override {
    return inner_->make_into_type_backend();
  }
  soci::details::standard_use_type_backend* make_use_type_backend() override { return new Use(*inner_, freetds_); }
  soci::details::vector_into_type_backend* make_vector_into_type_backend() override {
    return inner_->make_vector_into_type_backend();
  }
  soci::details::vector_use_type_backend* make_vector_use_type_backend() override {
    return inner_->make_vector_use_type_backend();
  }

 private:
  const std::unique_ptr<soci::odbc_statement_backend> inner_;
  const bool freetds_;
};

bool in_name(char c) noexcept {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

}  // namespace

std::string with_question_marks(const std::string& query, std::vector<std::string>& names) {
  std::string made;
  const auto copy_to = [&](std::size_t from, std::size_t end) {
    end = std::min(end, query.size());
    made.append(query, from, end - from);
    return end;
  };
  for (std::size_t at = 0; at < query.size();) {
    const char c = query[at];
    const std::string_view rest = std::string_view(query).substr(at);
    if (c == '\'' || c == '"' || c == '[') {  // A doubled end begins the next piece.
      const std::size_t end = query.find(c == '[' ? ']' : c, at + 1);
      at = copy_to(at, end == std::string::npos ? end : end + 1);
    } else if (rest.starts_with("--")) {
      at = copy_to(at, query.find('\n', at));
    } else if (rest.starts_with("/*")) {
      std::size_t end = at + 2;
      for (int depth = 1; depth > 0 && end < query.size();) {
        const std::string_view two = std::string_view(query).substr(end, 2);
        const int step = two == "/*" ? 1 : two == "*/" ? -1 : 0;
        depth += step;
        end += step == 0 ? 1 : 2;
      }
      at = copy_to(at, end);
    } else if (rest.starts_with("::")) {
      at = copy_to(at, at + 2);
    } else if (c == ':' && rest.size() > 1 && in_name(rest[1])) {
      std::size_t end = at + 1;
      while (end < query.size() && in_name(query[end])) ++end;
      names.push_back(query.substr(at + 1, end - at - 1));
      made += '?';
      at = end;
    } else {
      at = copy_to(at, at + 1);
    }
  }
  return made;
}

SociBackend::SociBackend(const std::string& connection) {
  soci::connection_parameters parameters(soci::odbc, connection);
  // Without it the driver might ask in a window for what is missing.
  parameters.set_option(soci::odbc_option_driver_complete, "0");
  inner_.reset(static_cast<soci::odbc_session_backend*>(parameters.get_factory()->make_session(parameters)));
  std::array<SQLCHAR, 64> name{};
  SQLSMALLINT length = 0;
  SQLGetInfo(inner_->hdbc_, SQL_DRIVER_NAME, name.data(), static_cast<SQLSMALLINT>(name.size()), &length);
  freetds_ = names_freetds(reinterpret_cast<const char*>(name.data()));
}

soci::details::statement_backend* SociBackend::make_statement_backend() {
  return new SociStatement(*inner_, freetds_);
}

}  // namespace stele::mssql
