// C6: which messages of each client's session were delivered. A part of the replicated group table.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/codec.h"
#include "core/model/group.h"
#include "core/model/session.h"
#include "core/model/view.h"

namespace vsync::core {

/// A session is opened and closed by totals, and what is recorded of it follows the stream of its owner's daemon. So it is the
/// same at all members at each install, and nobody else's messages change it.
class Sessions {
 public:
  static constexpr std::size_t kMaxOpen = 65536;
  static constexpr std::size_t kMaxClosed = 4096;  ///< then the one that closed first is forgotten
  static constexpr std::size_t kMaxRanges = 64;    ///< of one session; then its oldest numbers are forgotten

  enum class Opening : std::uint8_t {
    done,
    busy,  ///< the connection that it had before may still deliver something
    full,
  };

  // ---- at deliveries
  /// `first`: of a session that is not known, all sends before this number may have been delivered or not.
  Opening open(SessionId id, const ClientRef& owner, std::uint64_t first = 1);
  /// Behind everything that the owner sent.
  void close(SessionId id, const ClientRef& owner);
  /// Messages number, number + 1, … of this client were delivered; nothing happens if it has no session.
  void delivered(const ClientRef& owner, std::uint64_t number, std::uint32_t count);
  /// A daemon view, after everything of the old one: who is out of it delivers nothing more.
  void install(const View& view);

  [[nodiscard]] SessionFates fates(SessionId id) const;

  // ---- as bytes
  void save(Writer& out) const;
  /// nullopt: not what save() writes.
  static std::optional<Sessions> load(Reader& in);

 private:
  struct Session {
    ClientRef owner;           ///< the last one
    std::uint64_t closed = 0;  ///< its place in the order of closing, 0 = open
    std::uint64_t forgotten = 0;
    std::vector<NumberRange> delivered;
  };

  void close(SessionId id);
  static void add(Session& session, NumberRange numbers);
  static std::optional<Session> read(Reader& in);

  std::map<SessionId, Session> sessions_;
  std::map<ClientRef, SessionId> owners_;      ///< of the open ones
  std::map<std::uint64_t, SessionId> closed_;  ///< the others, in the order of closing
  std::uint64_t closings_ = 0;
};

}  // namespace vsync::core
