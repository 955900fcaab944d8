#include "sql_statement.h"

#include <soci/soci.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>

#include "sql_values.h"

namespace stele::cli {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw std::invalid_argument(why);
}

// Bytes of UTF-8 beyond ASCII may stand in names.
bool begins_name(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool in_name(char c) noexcept {
  return begins_name(c) || is_digit(c);
}
bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

std::string lower(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return made;
}

/// Rewrites a statement so that SOCI and the database understand it alike: parameters are :p1, :p2 …, and nothing else
/// looks like one to SOCI, which on the servers knows apostrophes but neither comments nor other quotes.
class Parser {
 public:
  Parser(std::string_view text, SqlDialect dialect) : text_(text), dialect_(dialect) {}

  void parse() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (at_comment()) {
        skip_comment();
        continue;
      }
      if (is_blank(c)) {
        copy();
        continue;
      }
      if (ended_) refuse("holds more than one statement");
      if (begins_name(c)) {
        word();
        continue;
      }
      if (c == ';') {
        semicolon();
        continue;
      }
      seen("");
      if (c == '\'') {
        literal(false);
      } else if (c == '"' || (c == '`' && dialect_ == SqlDialect::sqlite)) {
        quoted_name(c);
      } else if (c == '[' && dialect_ != SqlDialect::postgres) {
        quoted_name(']');
      } else if (c == ':') {
        colon();
      } else if (c == '$' && dialect_ == SqlDialect::postgres) {
        dollar();
      } else if (is_foreign_parameter(c)) {
        refuse(std::string("\"") + c + "\": parameters are written :name");
      } else if (is_digit(c)) {
        while (at_ < text_.size() && in_name(text_[at_])) copy();
      } else {
        copy();
      }
    }
    if (words_.empty()) refuse("is empty");
    check_first_words();
  }

  std::string made;
  std::vector<std::function<SqlValue(const RecordedEvent&)>> parameters;

 private:
  void check_first_words() const {
    constexpr std::array<std::string_view, 10> of_transactions{"begin", "start",     "commit",  "end",     "rollback",
                                                               "abort", "savepoint", "release", "prepare", "save"};
    constexpr std::array<std::string_view, 7> of_connections{"set",    "reset",  "discard", "pragma",
                                                             "attach", "detach", "vacuum"};
    const auto begins_with_one_of = [this](const auto& words) {
      return std::find(words.begin(), words.end(), words_.front()) != words.end();
    };
    if (begins_with_one_of(of_transactions)) refuse("the transaction is not the projection's to begin or end");
    // These end with the transaction.
    if (dialect_ == SqlDialect::postgres && words_.front() == "set" && words_.size() > 1 &&
        (words_[1] == "local" || words_[1] == "constraints")) {
      return;
    }
    if (begins_with_one_of(of_connections)) refuse("the connection's settings are not the projection's to change");
  }

  char peek(std::size_t ahead = 1) const noexcept { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  void copy() { made += text_[at_++]; }

  bool at_comment() const noexcept {
    return (text_[at_] == '-' && peek() == '-') || (text_[at_] == '/' && peek() == '*');
  }

  void skip_comment() {
    made += ' ';
    if (text_[at_] == '-') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return;
    }
    at_ += 2;
    for (std::size_t depth = 1; depth > 0;) {
      if (at_ >= text_.size()) refuse("a comment does not end");
      if (text_[at_] == '*' && peek() == '/') {
        --depth;
        at_ += 2;
      } else if (text_[at_] == '/' && peek() == '*' && dialect_ != SqlDialect::sqlite) {
        ++depth;
        at_ += 2;
      } else {
        ++at_;
      }
    }
  }

  void literal(bool backslash_escapes) {
    copy();
    while (true) {
      if (at_ >= text_.size()) refuse("a text in apostrophes does not end");
      if (backslash_escapes && text_[at_] == '\\' && at_ + 1 < text_.size()) {
        if (peek() == '\'') {
          made += "''";  // The same to the database, and an end to nobody.
          at_ += 2;
        } else {
          copy();
          copy();
        }
      } else if (text_[at_] == '\'' && peek() == '\'') {
        copy();
        copy();
      } else if (text_[at_] == '\'') {
        copy();
        return;
      } else {
        copy();
      }
    }
  }

  void quoted_name(char end) {
    const std::size_t begin = at_;
    copy();
    while (true) {
      if (at_ >= text_.size()) refuse("a quoted name does not end");
      if (text_[at_] == end && peek() == end) {
        copy();
        copy();
      } else if (text_[at_] == end) {
        copy();
        break;
      } else {
        copy();
      }
    }
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (dialect_ != SqlDialect::sqlite && name.find_first_of(":'") != std::string_view::npos) {
      refuse("a quoted name with a colon or an apostrophe in it cannot be used here");
    }
    add_word("");
  }

  void word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (in_name(text_[at_]) || (text_[at_] == '$' && at_ > begin))) copy();
    const std::string name = lower(text_.substr(begin, at_ - begin));
    if (name.starts_with("\xEF\xBB\xBF")) refuse("U+FEFF outside of quotes");  // To SQLite it is a blank.
    // T-SQL needs nothing between two statements.
    constexpr std::array<std::string_view, 4> reserved{"commit", "rollback", "tran", "transaction"};
    if (dialect_ == SqlDialect::mssql && std::find(reserved.begin(), reserved.end(), name) != reserved.end()) {
      refuse("the transaction is not the projection's to begin or end");
    }
    seen(name);
    add_word(name);
    if (dialect_ == SqlDialect::postgres && name == "e" && at_ < text_.size() && text_[at_] == '\'') literal(true);
  }

  void add_word(std::string name) {
    if (words_.size() < 3) words_.push_back(std::move(name));
  }

  /// A word, or ";", or "" for anything else.
  void seen(std::string token) { before_last_ = std::exchange(last_, std::move(token)); }

  /// SQLite would bind NULL to them, and the servers something else.
  bool is_foreign_parameter(char c) const noexcept {
    switch (dialect_) {
      case SqlDialect::sqlite: return c == '?' || c == '@' || c == '$';
      case SqlDialect::postgres: return false;
      case SqlDialect::mssql: return c == '?';
    }
    return false;
  }

  /// $tag$ text $tag$, as a text in apostrophes: it is the same.
  void dollar() {
    std::size_t end = at_ + 1;
    if (end < text_.size() && is_digit(text_[end])) refuse("\"$\": parameters are written :name");
    while (end < text_.size() && in_name(text_[end])) ++end;
    if (end >= text_.size() || text_[end] != '$') return copy();
    const std::string_view tag = text_.substr(at_, end + 1 - at_);
    const std::size_t begin = end + 1;
    const std::size_t close = text_.find(tag, begin);
    if (close == std::string_view::npos) refuse("a text in " + std::string(tag) + " does not end");
    made += '\'';
    for (const char c : text_.substr(begin, close - begin)) made += c == '\'' ? std::string("''") : std::string(1, c);
    made += '\'';
    at_ = close + tag.size();
  }

  void semicolon() {
    const bool ends_trigger = before_last_ == ";" && last_ == "end";
    seen(";");
    if (is_trigger() && !ends_trigger) return copy();
    ended_ = true;
    ++at_;
  }

  /// SQLite's triggers have statements inside.
  bool is_trigger() const {
    if (dialect_ != SqlDialect::sqlite || words_.size() < 2 || words_[0] != "create") return false;
    const bool temporary = words_[1] == "temp" || words_[1] == "temporary";
    return words_[1] == "trigger" || (temporary && words_.size() > 2 && words_[2] == "trigger");
  }

  void colon() {
    if (peek() == ':' || peek() == '=') {  // A cast; an assignment.
      copy();
      copy();
      return;
    }
    ++at_;
    if (at_ >= text_.size() || !begins_name(text_[at_])) refuse("a \":\" that is followed by no parameter's name");
    const std::size_t begin = at_;
    const std::string name = take_name();
    std::vector<std::string> path;
    if (is_json_parameter(name)) {
      while (at_ < text_.size() && text_[at_] == '.') {
        ++at_;
        path.push_back(take_path_name());
      }
    }
    std::string written(text_.substr(begin, at_ - begin));
    if (dialect_ == SqlDialect::mssql)
      written += '#' + std::to_string(numbers_.size());  // ODBC binds a place, not a name.
    const auto [known, is_new] = numbers_.try_emplace(written, numbers_.size() + 1);
    if (is_new) {
      parameters.push_back(sql_parameter(name, std::move(path), dialect_ != SqlDialect::sqlite));
      if (!parameters.back()) refuse("there is no parameter :" + name);
    }
    made += " :p" + std::to_string(known->second) + " ";
  }

  std::string take_name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && in_name(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  /// A name or number, or any text in quotes.
  std::string take_path_name() {
    if (at_ >= text_.size() || text_[at_] != '"') {
      std::string name = take_name();
      if (name.empty()) refuse("a \".\" that is followed by no name");
      return name;
    }
    std::string name;
    for (++at_;; ++at_) {
      if (at_ >= text_.size()) refuse("a quoted name does not end");
      if (text_[at_] == '"') {
        if (peek() != '"') break;
        ++at_;
      }
      name += text_[at_];
    }
    ++at_;
    return name;
  }

  const std::string_view text_;
  const SqlDialect dialect_;
  std::size_t at_ = 0;
  bool ended_ = false;
  std::string last_, before_last_;  // Tokens.
  std::vector<std::string> words_;  // The first three, in lower case.
  std::map<std::string, std::size_t, std::less<>> numbers_;
};

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

/// Binds by reference: it may not move.
class Bound {
 public:
  Bound(SqlValue value, std::string name) : value_(std::move(value)), name_(std::move(name)) {}
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;

  void bind(soci::statement& statement) {
    if (auto* integer = std::get_if<std::int64_t>(&value_)) {
      integer_ = *integer;
      statement.exchange(soci::use(integer_, name_));
    } else if (auto* number = std::get_if<double>(&value_)) {
      statement.exchange(soci::use(*number, name_));
    } else if (auto* text = std::get_if<std::string>(&value_)) {
      statement.exchange(soci::use(*text, name_));
    } else {
      statement.exchange(soci::use(null_text_, null_, name_));
    }
  }

 private:
  SqlValue value_;
  const std::string name_;
  long long integer_ = 0;  // SOCI's own 64 bits.
  std::string null_text_;
  soci::indicator null_ = soci::i_null;
};

}  // namespace

SqlStatement::SqlStatement(std::string_view text, SqlDialect dialect) {
  Parser parser(text, dialect);
  parser.parse();
  text_ = std::move(parser.made);
  parameters_ = std::move(parser.parameters);
}

void SqlStatement::execute(soci::session& sql, std::int32_t generation, const RecordedEvent* event) const {
  std::string text = text_;
  replace_all(text, "{generation}", std::to_string(generation));
  std::vector<std::unique_ptr<Bound>> bound;
  soci::statement statement(sql);
  statement.alloc();
  for (const auto& parameter : parameters_) {
    bound.push_back(std::make_unique<Bound>(parameter(*event), "p" + std::to_string(bound.size() + 1)));
    bound.back()->bind(statement);
  }
  // Runs once: on the servers that is one round trip.
  statement.prepare(text, soci::details::st_one_time_query);
  statement.define_and_bind();
  statement.execute(true);
}

}  // namespace stele::cli
