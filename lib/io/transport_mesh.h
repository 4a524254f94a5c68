// The links of this daemon: handshakes, the choice between crossing connections, and what becomes of lost ones.
// The rules are told in transport.h.
#pragma once

#include <asio/steady_timer.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/refusals.h"
#include "io/transport.h"
#include "io/transport_connection.h"
#include "io/transport_dialer.h"

namespace vsync::io {

class Mesh;

/// A connection on its way to being a link, or one.
class Link final : public Connection {
 public:
  Link(asio::ip::tcp::socket socket, const Limits& limits, BlockPool& pool, Mesh& mesh, TargetPtr dialled_target);

  const TargetPtr target;           ///< null: the peer dialled
  std::optional<core::Hello> peer;  ///< once its HELLO came
  bool open = false;
  bool dirty = false;                           ///< has something to be flushed
  std::chrono::steady_clock::time_point since;  ///< connected, then: open

 private:
  void on_frame(core::Frame frame) override;
  void on_lost(const std::string& why, bool garbage) override;
  const wire::Context& context() const override;

  Mesh& mesh_;
};

using LinkPtr = std::shared_ptr<Link>;

/// Single-threaded. The handler must outlive it.
class Mesh : private DialerOwner {
 public:
  Mesh(asio::io_context& io, const TransportOptions& options, TransportHandler& handler, TransportCounters& counters);
  ~Mesh() override;

  [[nodiscard]] Dialer& dialer() { return dialer_; }
  void start();
  void stop(const std::string& reason);
  [[nodiscard]] bool idle() const;

  /// A peer connected; it is nobody until it says HELLO.
  void accepted(asio::ip::tcp::socket socket);
  void set_cluster(const core::Uuid& uuid) { context_.uuid_hash = wire::hash_of(uuid); }
  [[nodiscard]] const wire::Context& context() const { return context_; }

  void send(const core::Pid& to, const core::FramePtr& frame);
  void reset(const core::Pid& peer, const std::string& why);
  void flush();
  /// Counts a refusal and tells the handler once.
  void refuse(const std::string& from, const std::string& why);

 private:
  friend class Link;

  // what links report
  void frame(Link& link, core::Frame frame);
  void lost(Link& link, const std::string& why, bool garbage);

  // the handshake, step by step
  void handshake(Link& link, const core::Frame& frame);
  void first_hello(Link& link, const core::Hello& hello);
  void choose(Link& link);
  void open(Link& link);
  void say_hello(Link& link);
  void drop(Link& link, const std::string& why);
  void refuse(Link& link, const std::string& why);
  void attempt_ended(Link& link, const std::string& why);

  void close_open(const LinkPtr& link, bool clean, const std::string& why);
  void watch_strangers();

  // DialerOwner
  [[nodiscard]] bool linked(const core::Pid& pid) const override;
  void dialled(asio::ip::tcp::socket socket, const TargetPtr& target) override;
  void refused(const core::Pid& pid) override;
  void dial_failed(const DialTarget& target, const std::string& why) override;
  void seeds_tried() override;

  asio::io_context& io_;
  const TransportOptions options_;
  TransportHandler& handler_;
  TransportCounters& counters_;
  BlockPool pool_;
  Refusals refusals_;
  wire::Context context_;
  core::Pid self_;
  bool started_ = false;
  std::map<core::Pid, LinkPtr> links_;                                                // open ones
  std::set<LinkPtr> strangers_;                                                       // without an open link yet
  std::vector<std::pair<LinkPtr, std::chrono::steady_clock::time_point>> finishing_;  // said GOODBYE, and until when to wait
  std::vector<LinkPtr> dirty_;
  core::FramePtr encoded_frame_;  // what encoded_ was made from: one frame for many peers is encoded once
  EncodedPtr encoded_;
  asio::steady_timer watch_;
  bool watching_ = false;
  Dialer dialer_;
};

}  // namespace vsync::io
