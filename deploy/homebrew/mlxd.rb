# Formula of mlxd for a tap of your own. `npm run build:formula` fills in what stands between two @.
class Mlxd < Formula
  desc "MLX daemon: language models on MLX, served over gRPC and Connect"
  homepage "@URL@"
  url "@URL@/@ARCHIVE@"
  version "@VERSION@"
  sha256 "@SHA256@"
  license "MIT"

  depends_on arch: :arm64
  depends_on macos: :sonoma
  depends_on "node"
  depends_on "python@3.13"

  def install
    libexec.install Dir["*"]
    (bin/"mlxd").write_env_script libexec/"bin/mlxd", MLXD_NODE: Formula["node"].opt_bin/"node"
    (etc/"mlxd").mkpath
    cp libexec/"mlxd.example.yaml", etc/"mlxd/mlxd.example.yaml"
  end

  def post_install
    (var/"mlxd/models").mkpath
    (var/"log/mlxd").mkpath
    # Apple's MLX for Metal, by its hash: the service itself writes nothing beside its programs.
    system bin/"mlxd", "--version"
  end

  service do
    run [opt_bin/"mlxd", "serve"]
    keep_alive successful_exit: false
    working_dir var/"mlxd"
    environment_variables MLXD_MODELS: var/"mlxd/models", PATH: std_service_path_env
    process_type :interactive
    log_path var/"log/mlxd/mlxd.log"
    error_log_path var/"log/mlxd/mlxd.log"
  end

  def caveats
    <<~EOS
      Models lie in #{var}/mlxd/models. A first one to try is
        cp -R #{opt_libexec}/models/demo #{var}/mlxd/models/
      `brew services` runs it for the user who is logged in; deploy/macos/install is for a server that nobody logs in to.
    EOS
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/mlxd --version")
    port = free_port
    pid = spawn({ "MLXD_PORT" => port.to_s }, bin/"mlxd", "serve")
    begin
      assert_match "serving", shell_output("curl --silent --retry 30 --retry-connrefused http://127.0.0.1:#{port}/readyz")
    ensure
      Process.kill("TERM", pid)
      Process.wait(pid)
    end
  end
end
